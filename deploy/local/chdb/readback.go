package chdb

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// readBacks is what inserts share about what they read.
type readBacks struct {
	mu    sync.Mutex
	whole map[part]bool // so that concurrent inserts do not read each other's parts again and again
	// flaws counts the parts that were not whole. An insert during which it grew may have written
	// that part.
	flaws atomic.Uint64
}

// part is a row of system.parts (https://clickhouse.com/docs/operations/system-tables/parts).
type part struct {
	Database string `json:"database"`
	Table    string `json:"table"`
	Name     string `json:"name"`
	Path     string `json:"path"` // its directory, with a slash at its end
}

func (p part) table() string { return quoteIdentifier(p.Database) + "." + quoteIdentifier(p.Table) }

// beginInsert is called before an insert. It returns a function to call after it, which reads back
// all that inserts have written in between, to tables behind materialized views too: the engine
// reports success when a write failed. Every file is compared with its checksum (CHECK TABLE,
// https://clickhouse.com/docs/sql-reference/statements/check-table). A part that is not whole is
// detached: no query reads it, and it stays on the disk for whoever wants to look at it. The error
// says that the rows are to be sent again.
//
// What merges write is not read back: the engine reserves their space, and keeps what they were
// made of for eight minutes.
func (e *Engine) beginInsert(c *connection) (readBack func() error) {
	if e.unread {
		return func() error { return nil }
	}
	since, flaws := time.Now().Unix(), e.readBacks.flaws.Load()
	return func() error {
		fresh, err := e.freshParts(c, since)
		if err != nil {
			return &Exception{Code: codeAborted, Message: fmt.Sprintf("What was inserted cannot be read back: %v. (ABORTED)",
				err)}
		}
		e.readBacks.mu.Lock()
		known := e.readBacks.whole
		e.readBacks.mu.Unlock()
		whole := make(map[part]bool, len(fresh))
		for _, p := range fresh {
			if !known[p] {
				if err := e.check(c, p); err != nil {
					return err
				}
			}
			whole[p] = true
		}
		e.readBacks.mu.Lock()
		e.readBacks.whole = whole
		e.readBacks.mu.Unlock()
		// Two inserts run, A's part has a flaw, B finds it and detaches it, and A lists parts of
		// which none is its own.
		if e.readBacks.flaws.Load() != flaws {
			return &Exception{Code: codeChecksumMismatch,
				Message: "Of what was inserted in this moment not everything is whole; insert the rows again. " +
					"(CHECKSUM_DOESNT_MATCH)"}
		}
		return nil
	}
}

// freshParts are those that inserts since then have made and no merge has taken yet.
func (e *Engine) freshParts(c *connection, since int64) ([]part, error) {
	answer, err := c.query(fmt.Sprintf(
		"SELECT database, table, name, path FROM system.parts WHERE active AND min_block_number = max_block_number AND "+
			"database != 'system' AND modification_time >= fromUnixTimestamp(%d)", since),
		"JSONEachRow", nil)
	if err != nil {
		return nil, err
	}
	defer answer.free()
	var parts []part
	for line := range strings.Lines(string(answer.data)) {
		var p part
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// check reads a part and detaches it when it is not whole. Only what was read to its end says that:
// when a client goes away its statements are cancelled, this reading too, and the part may be of
// another insert, which has succeeded. Then there is an error, and the part stays.
func (e *Engine) check(c *connection, p part) error {
	why, err := e.flaw(c, p)
	if why == "" && err == nil {
		return nil
	}
	there, activeErr := e.active(c, p)
	if activeErr == nil && !there {
		return nil // merged into another meanwhile, for which it was read, or dropped with its table
	}
	if err := errors.Join(err, activeErr); err != nil {
		return &Exception{Code: codeAborted, Message: fmt.Sprintf("What was inserted was not read back: %v. (ABORTED)", err)}
	}
	e.readBacks.flaws.Add(1) // before it is gone: see beginInsert
	outcome := "It is detached"
	if err := c.exec("ALTER TABLE " + p.table() + " DETACH PART " + quoteString(p.Name)); err != nil {
		outcome = fmt.Sprintf("It cannot be detached (%v)", err)
	}
	return &Exception{Code: codeChecksumMismatch, Message: fmt.Sprintf(
		"Part %s of %s.%s is not what was to be written, although the engine reported success: %s. Is the disk full or "+
			"broken? %s; insert the rows again. (CHECKSUM_DOESNT_MATCH)",
		p.Name, p.Database, p.Table, why, outcome)}
}

// flaw says what is wrong with a part; nothing, when it is whole.
func (e *Engine) flaw(c *connection, p part) (why string, err error) {
	answer, err := c.query("CHECK TABLE "+p.table()+" PART "+quoteString(p.Name)+
		" SETTINGS check_query_single_value_result = 0", "JSONEachRow", nil)
	if err != nil {
		return "", err
	}
	defer answer.free()
	if why, err := verdict(answer.data); why != "" || err != nil {
		return why, err
	}
	// Some small files have no checksum (metadata_version.txt, default_compression_codec.txt); a
	// part is lost at the next start without one of them. They are written at once or not at all.
	files, err := os.ReadDir(p.Path)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Size() == 0 && strings.HasSuffix(f.Name(), ".txt") {
			return f.Name() + " is empty", nil
		}
	}
	return "", nil
}

// verdict returns what CHECK TABLE found wrong with a part, nothing if it is whole. A cancelled one
// answers with an error, with nothing at all, or with a row as of a part that is not whole.
func verdict(answer []byte) (why string, err error) {
	var said struct {
		Passed  json.RawMessage `json:"is_passed"` // a number or a boolean, as the engine's version has it
		Message string          `json:"message"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return "", fmt.Errorf("CHECK TABLE answered %q: %w", answer, err)
	}
	switch passed := string(said.Passed); {
	case passed == "1" || passed == "true":
		return "", nil
	case passed != "0" && passed != "false", strings.Contains(said.Message, "(QUERY_WAS_CANCELLED"):
		return "", fmt.Errorf("CHECK TABLE answered %q", answer)
	}
	return cmp.Or(said.Message, "CHECK TABLE gives no reason"), nil
}

// active reports whether queries still read the part.
func (e *Engine) active(c *connection, p part) (bool, error) {
	answer, err := c.query("SELECT count() FROM system.parts WHERE active AND database = "+quoteString(p.Database)+
		" AND table = "+quoteString(p.Table)+
		" AND name = "+quoteString(p.Name), "TabSeparated", nil)
	if err != nil {
		return false, err
	}
	defer answer.free()
	n, err := strconv.Atoi(strings.TrimSpace(string(answer.data))) // nothing at all if it is cancelled
	return n > 0, err
}
