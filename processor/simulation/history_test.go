package simulation

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/ledger"
)

// operation is one line of a history: what a processor asked of ClickHouse, or what happened to it.
// A checker that knows nothing of this program can read them (-histories DIR writes a file for each
// schedule).
type operation struct {
	At      float64  `json:"at"`                // seconds of virtual time since the schedule began
	Process string   `json:"process"`           // a processor, a command, or "harness"
	Type    string   `json:"type"`              // invoke, ok, fail (not applied), info (unknown), fault, commit
	Do      string   `json:"f,omitempty"`       // insert or lookup
	Table   string   `json:"table,omitempty"`   //
	Replica int      `json:"replica,omitempty"` // that was asked, from 1
	Keys    []string `json:"keys,omitempty"`    // of the rows that were inserted
	Text    string   `json:"text,omitempty"`    // of a fault, an error or a commit
}

// record adds a line to the history, if one is wanted.
func (r *run) record(o operation) {
	if *histories == "" {
		return
	}
	o.At = r.since().Seconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, o)
}

// writeHistory writes the history to a file of the directory.
func (r *run) writeHistory() {
	if *histories == "" {
		return
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, o := range r.history {
		if err := encoder.Encode(o); err != nil {
			r.violated("write the history: %v", err)
		}
	}
	path := filepath.Join(*histories, fmt.Sprintf("seed-%d.jsonl", r.seed))
	if err := os.WriteFile(path, lines.Bytes(), 0o644); err != nil {
		r.violated("write the history: %v", err)
	}
}

// keysOf names the rows of an insert: raw rows as rawKeys does, the others by what identifies them.
func keysOf(rows any) []string {
	switch rows := rows.(type) {
	case []ledger.Entry:
		return named(rows, func(e ledger.Entry) string { return fmt.Sprintf("entry %x version %x", e.ID, e.Version.Big()) })
	case []clickhouse.FactRow:
		return named(rows, func(f clickhouse.FactRow) string {
			return fmt.Sprintf("fact %s %s %s", f.Kind,
				f.ObjectID, f.EventID)
		})
	case []clickhouse.EdgeRow:
		return named(rows, func(e clickhouse.EdgeRow) string {
			return fmt.Sprintf("edge %s %s carried %t",
				e.A, e.B, e.Carried)
		})
	case []clickhouse.ClickRow:
		return named(rows, func(c clickhouse.ClickRow) string { return fmt.Sprintf("click %x", c.ClickId) })
	}
	return rawKeys(rows)
}

func named[R any](rows []R, name func(R) string) []string {
	list := make([]string, len(rows))
	for i, row := range rows {
		list[i] = name(row)
	}
	return list
}

// end is a hash of every row that stands at the end of a schedule, but for when a dead letter was
// written: a seed's faults meet its processors in another order each time, and its end is the same.
func end(m *clickhousetest.Model) uint64 {
	var lines []string
	add := func(v any) {
		text, err := json.Marshal(v)
		lines = append(lines, cmp.Or(string(text), fmt.Sprint(err)))
	}
	for _, e := range m.Ledger() {
		add([]any{e, e.Version.Big()})
	}
	for _, l := range m.AllLeads() {
		add([]any{l, l.Version.Big()})
	}
	for _, c := range m.AllClicks() {
		add(c)
	}
	for _, e := range m.AllEvents() {
		add(e)
	}
	slices.Sort(lines)
	hash := fnv.New64a()
	for _, line := range lines {
		hash.Write([]byte(line))
	}
	return hash.Sum64()
}
