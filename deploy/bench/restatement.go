package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tributary/processor/dashboard"
	"tributary/processor/workspace"
	"tributary/schemas/loopback"
	"tributary/sql"
)

// restatement measures how long an open page goes on showing the old figures after money is booked
// differently: from the moment when ClickHouse has the entry until the dashboard has answered all
// questions of the page anew. The page is a client that asks as processor/dashboard/assets/app.js
// does: it looks at the state of the tables, and when that is another asks two questions at a time.
type restatement struct {
	Entries uint64        `default:"10000000" help:"How many entries the ledger has; one in ten has two versions."`
	Data    string        `placeholder:"DIR" help:"Keep the ledger here, and use the one that is here. Without it it is made in a temporary folder and deleted."`
	Rounds  int           `default:"100" help:"How many entries are restated."`
	Look    time.Duration `default:"1500ms" help:"From one look at the state of the tables to the next."`
}

// restatements are what is written to the ledger for an entry: each changes what the affiliates
// brought.
var restatements = []struct{ name, columns string }{
	{"refund", "MD5(toString(now64(9))) AS entry_id, 'refund' AS kind, concat('re_', hex(entry_id)) AS object_id, " +
		"-amount AS amount, -amount_usd AS amount_usd, -net_usd AS net_usd"},
	{"re-attribution", "concat('restated-', hex(entry_id)) AS affiliate_id, version + 1 AS version"},
	{"correction", "amount + 100 AS amount, amount_usd + 1 AS amount_usd, net_usd + 1 AS net_usd, version + 1 AS version"},
}

// Run prints p50, p99 and the longest of each kind, and of all.
func (r *restatement) Run(ctx context.Context) error {
	base, dir, remove, err := engineIn(r.Data)
	if err != nil {
		return err
	}
	defer remove()
	if err := (&upkeep{Entries: r.Entries}).prepare(ctx, base, dir); err != nil {
		return err
	}
	from := untilDay.AddDate(0, 0, -30)
	chosen, err := ask(ctx, base, fmt.Sprintf(
		"SELECT hex(entry_id) FROM revenue FINAL WHERE workspace = '%s' AND kind = 'payment' "+
			"AND affiliate_id != '' AND NOT startsWith(affiliate_id, 'restated') AND day >= '%s' ORDER BY "+
			"cityHash64(entry_id) LIMIT %d",
		workspaces[0], from.Format(time.DateOnly), r.Rounds), nil)
	if err != nil {
		return err
	}
	page, err := openPage(base, r.Look, from)
	if err != nil {
		return err
	}
	defer page.close()
	if _, err := page.ask(ctx); err != nil {
		return err
	}
	times := make(map[string][]time.Duration)
	for i, entry := range strings.Fields(chosen) {
		kind := restatements[i%len(restatements)]
		took, err := page.restate(ctx, base, "INSERT INTO ledger SELECT * REPLACE ("+kind.columns+") FROM ledger AS l FINAL "+
			"WHERE l.workspace = '"+workspaces[0]+"' AND l.entry_id = unhex('"+entry+"')")
		if err != nil {
			return fmt.Errorf("%s of %s: %w", kind.name, entry, err)
		}
		times[kind.name] = append(times[kind.name], took)
		times["all"] = append(times["all"], took)
	}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		list := times[name]
		slices.Sort(list)
		fmt.Printf("%-16s %4d, seconds until the page shows it: p50 %.2f, p99 %.2f, longest %.2f\n", name, len(list),
			list[len(list)/2].Seconds(), list[(len(list)*99+99)/100-1].Seconds(), list[len(list)-1].Seconds())
	}
	return nil
}

// page is an open page of the dashboard, the overview of the last 30 days.
type page struct {
	dashboard *dashboard.Dashboard
	server    *http.Server
	address   string
	look      time.Duration
	questions []string // their paths
	state     string
}

func openPage(base string, look time.Duration, from time.Time) (*page, error) {
	d, err := dashboard.New(dashboard.Config{DSN: base + "/bench", Log: slog.New(slog.DiscardHandler),
		Workspaces: func() []workspace.Region { return []workspace.Region{{Workspace: workspaces[0]}} }})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &page{dashboard: d, server: loopback.NewServer(d),
		address: "http://" + listener.Addr().String(), look: look}
	go func() { _ = p.server.Serve(listener) }()
	for _, a := range asked {
		if a.name == "totals" { // what follows, the page asks elsewhere
			break
		}
		question, err := sql.AskQuestion(a.name)
		if err != nil {
			return nil, err
		}
		given := make(url.Values)
		for name, value := range a.parameters {
			given.Set(name, strings.ReplaceAll(value, "'", `"`)) // as JSON
		}
		for _, parameter := range question.Parameters {
			switch parameter.Name {
			case "limit":
				if a.name == "breakdown" {
					given.Set("limit", "100000") // so that every affiliate's figures are in the answer
				}
			case "from":
				given.Set("from", from.Format(time.DateTime))
			case "to":
				given.Set("to", untilDay.Format(time.DateTime))
			}
		}
		p.questions = append(p.questions, "/api/query/"+a.name+"?"+given.Encode())
	}
	return p, nil
}

func (p *page) close() {
	_ = p.server.Close()
	_ = p.dashboard.Close()
}

// restate writes to the ledger at a random moment between two looks, and returns how long it takes
// until all answers are there and the affiliates' is another.
func (p *page) restate(ctx context.Context, base, statement string) (time.Duration, error) {
	before, err := p.ask(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := ask(ctx, base, statement, nil); err != nil {
		return 0, err
	}
	written := time.Now()
	time.Sleep(rand.N(p.look))
	for time.Since(written) < time.Minute {
		state, err := p.get(ctx, "/api/state")
		if err != nil {
			return 0, err
		}
		if state != p.state {
			p.state = state
			after, err := p.ask(ctx)
			if err != nil {
				return 0, err
			}
			if after != before {
				return time.Since(written), nil
			}
		}
		time.Sleep(p.look)
	}
	return 0, fmt.Errorf("the page shows the same after a minute")
}

// ask asks all questions, two at a time, and returns what the affiliates brought.
func (p *page) ask(ctx context.Context) (string, error) {
	answers, faults := make([]string, len(p.questions)), make([]error, len(p.questions))
	var group sync.WaitGroup
	turns := make(chan struct{}, 2)
	for i, path := range p.questions {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			answers[i], faults[i] = p.get(ctx, path)
		})
	}
	group.Wait()
	for i, err := range faults {
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.questions[i], err)
		}
	}
	return answers[1], nil // the second of asked
}

func (p *page) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || !json.Valid(body)) {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}
