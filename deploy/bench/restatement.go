package main

import (
	"context"
	"encoding/json"
	"errors"
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

	"golang.org/x/sync/errgroup"

	"tributary/processor/dashboard"
	"tributary/processor/rollup"
	"tributary/processor/workspace"
	"tributary/schemas/loopback"
)

// restatement measures how long an open page goes on showing the old figures after money is booked
// differently: from the moment when ClickHouse has the entry until the dashboard has answered all
// questions of the page anew. The page is a client that asks as processor/dashboard/assets/app.js
// does: it looks at the state of the tables, and when that is another asks the questions of the
// overview, two at a time, and rests. It prints how long each question takes, too.
type restatement struct {
	Entries uint64        `default:"10000000" help:"How many entries the ledger has; one in ten has two versions."`
	Data    string        `placeholder:"DIR" help:"Keep the ledger here, and use the one that is here. Without it it is made in a temporary folder and deleted."`
	Rounds  int           `default:"100" help:"How many entries are restated."`
	Look    time.Duration `default:"1500ms" help:"From one look at the state of the tables to the next, at least."`
	Clicks  bool          `help:"Insert clicks of another workspace twice a second meanwhile, so that the page sees another state all the time."`
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
	if err := listFirstSales(ctx, base); err != nil {
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
	times := make(map[string][]time.Duration)
	measured, stop := context.WithCancel(ctx)
	group, open := errgroup.WithContext(measured)
	group.Go(func() error { return page.stayOpen(open) })
	if r.Clicks {
		group.Go(func() error { return insertClicks(open, base) })
	}
	group.Go(func() error {
		defer stop()
		return page.restateAll(open, base, strings.Fields(chosen), times)
	})
	if err := group.Wait(); err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		list := times[name]
		slices.Sort(list)
		fmt.Printf("%-16s %4d, seconds until the page shows it: p50 %.2f, p99 %.2f, longest %.2f\n", name, len(list),
			list[len(list)/2].Seconds(), list[(len(list)*99+99)/100-1].Seconds(), list[len(list)-1].Seconds())
	}
	for _, name := range slices.Sorted(maps.Keys(page.steps)) {
		list := page.steps[name]
		slices.Sort(list)
		fmt.Printf("  %-36s %4d, milliseconds: p50 %d, longest %d\n", name, len(list), list[len(list)/2].Milliseconds(),
			list[len(list)-1].Milliseconds())
	}
	return nil
}

// listFirstSales computes the lists of first sales, which processor run has for such a ledger.
func listFirstSales(ctx context.Context, base string) error {
	store, err := openPatient(base + "/bench")
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Exec(ctx, "TRUNCATE TABLE payments_written"); err != nil { // as long after the last payment
		return err
	}
	return rollup.ComputeFirstSales(ctx, store, rollup.Ledger{Workspace: workspaces[0], Livemode: true})
}

// affiliates is the question whose answer shows each restatement.
const affiliates = "affiliates"

// page is an open page of the dashboard, the overview of the last 30 days.
type page struct {
	dashboard *dashboard.Dashboard
	server    *http.Server
	address   string
	look      time.Duration
	questions []question

	mu    sync.Mutex                 // guards what follows
	steps map[string][]time.Duration // how long each took
	shown shown
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
	p := &page{dashboard: d, server: loopback.NewServer(d), look: look,
		address: "http://" + listener.Addr().String(), steps: make(map[string][]time.Duration)}
	go func() { _ = p.server.Serve(listener) }()
	in := func(from time.Time, to time.Time, more ...string) map[string]string {
		values := map[string]string{"from": from.Format(time.DateTime), "to": to.Format(time.DateTime)}
		for i := 0; i < len(more); i += 2 {
			values[more[i]] = more[i+1]
		}
		return values
	}
	before := from.AddDate(0, 0, -30)
	list := func(dimension string, more ...string) map[string]string {
		return in(from, untilDay, append([]string{"dimension", dimension, "limit", "1000", "visitors", "false"}, more...)...)
	}
	p.questions = []question{
		{"freshness", "", nil},
		{"breakdown", "all", in(from, untilDay, "dimension", "")},
		{"breakdown", "all before", in(before, from, "dimension", "")},
		{"trend", "", in(before, untilDay, "visitors", "false")},
		{"breakdown", affiliates, list("affiliate", "limit", "100000")}, // of the page 1,000; here all
		{"money_at_risk", "", nil},
		{"held", "", nil},
		{"flagged_clicks", "", in(from, untilDay)},
		{"pipeline_status", "", nil},
		{"browser_leads", "", in(from, untilDay)},
		{"breakdown", "channels", list("channel")},
		{"breakdown", "campaigns", list("campaign")},
		{"sales_and_refunds", "", in(from, untilDay, "limit", "10")},
		{"modes", "", nil},
		{"rates_used", "", in(from, untilDay)},
	}
	return p, nil
}

func (p *page) close() {
	_ = p.server.Close()
	_ = p.dashboard.Close()
}

// shown is what the page shows of the affiliates, and since when.
type shown struct {
	answer string
	at     time.Time
}

// longestRest is how long the page rests at most, whatever its questions take.
const longestRest = 5 * time.Second

// stayOpen asks all questions whenever there is another state of the tables, until ctx ends. While
// rows keep arriving it rests five times as long as it asked, while the ledger changes once as long.
func (p *page) stayOpen(ctx context.Context) error {
	state, err := p.lookAt(ctx, "")
	for err == nil {
		began, answer := time.Now(), ""
		if answer, err = p.ask(ctx); err != nil {
			break
		}
		took := time.Since(began)
		p.note("all are answered", began)
		p.show(answer)
		rest := func(took time.Duration) time.Duration { return min(max(p.look, took), longestRest) }
		rested := time.Now().Add(rest(5 * took))
		time.Sleep(rest(took))
		state, err = p.another(ctx, state, rested)
	}
	return err
}

// another waits for another state of the tables, until rested for one of the ledger alone.
func (p *page) another(ctx context.Context, state string, rested time.Time) (string, error) {
	_, ledger, _ := strings.Cut(state, ".")
	ledger = "." + ledger
	for {
		looked := time.Now()
		if looked.Before(rested) {
			resting, stop := context.WithDeadline(ctx, rested)
			now, err := p.lookAt(resting, ledger)
			over := resting.Err() != nil
			stop()
			if err == nil && !strings.HasSuffix(now, ledger) || err != nil && !over || ctx.Err() != nil {
				return now, errors.Join(err, ctx.Err())
			}
			if over {
				continue
			}
		} else if now, err := p.lookAt(ctx, state); err != nil || now != state {
			return now, err
		}
		time.Sleep(time.Until(looked.Add(p.look)))
	}
}

func (p *page) show(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answer != p.shown.answer {
		p.shown = shown{answer, time.Now()}
	}
}

// other waits until the page shows something else, and returns it.
func (p *page) other(ctx context.Context, before shown) (shown, error) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && ctx.Err() == nil; {
		p.mu.Lock()
		now := p.shown
		p.mu.Unlock()
		if now.answer != before.answer {
			return now, nil
		}
		time.Sleep(time.Millisecond)
	}
	return shown{}, errors.New("the page shows the same after a minute")
}

// restateAll restates entries in each of the ways in turn, and adds how long each takes.
func (p *page) restateAll(ctx context.Context, base string, entries []string, times map[string][]time.Duration) error {
	if _, err := p.other(ctx, shown{}); err != nil {
		return err
	}
	for i, entry := range entries {
		kind := restatements[i%len(restatements)]
		took, err := p.restate(ctx, base, "INSERT INTO ledger SELECT * REPLACE ("+kind.columns+") FROM ledger AS l FINAL "+
			"WHERE l.workspace = '"+workspaces[0]+"' AND l.entry_id = unhex('"+entry+"')")
		if err != nil {
			return fmt.Errorf("%s of %s: %w", kind.name, entry, err)
		}
		times[kind.name] = append(times[kind.name], took)
		times["all"] = append(times["all"], took)
	}
	return nil
}

// restate writes to the ledger at a random moment, and returns how long it takes until the page
// shows another figure of the affiliates with all others.
func (p *page) restate(ctx context.Context, base, statement string) (time.Duration, error) {
	time.Sleep(rand.N(longestRest))
	before, err := p.other(ctx, shown{})
	if err != nil {
		return 0, err
	}
	if _, err := ask(ctx, base, statement, nil); err != nil {
		return 0, err
	}
	written := time.Now()
	after, err := p.other(ctx, before)
	return after.at.Sub(written), err
}

// insertClicks inserts clicks twice a second, until ctx ends.
func insertClicks(ctx context.Context, base string) error {
	for ctx.Err() == nil {
		_, err := ask(ctx, base, "INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, version) "+
			"SELECT 'elsewhere', UUIDStringToNum(toString(generateUUIDv7(number))), now64(3), now64(3), toString(number), 1 "+
			"FROM numbers(100)", nil)
		if err != nil && ctx.Err() == nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

// lookAt returns the state of the tables; where one is known it waits for another, some seconds at
// most.
func (p *page) lookAt(ctx context.Context, known string) (string, error) {
	text, err := p.get(ctx, "/api/state?"+url.Values{"after": {known}}.Encode())
	if err != nil {
		return "", err
	}
	var said struct{ State string }
	err = json.Unmarshal([]byte(text), &said)
	if err == nil && said.State == "" {
		err = errors.New("ClickHouse does not say the state of its tables")
	}
	return said.State, err
}

// ask asks all questions, two at a time, and returns what the affiliates brought.
func (p *page) ask(ctx context.Context) (string, error) {
	answers, faults := make([]string, len(p.questions)), make([]error, len(p.questions))
	var group sync.WaitGroup
	turns := make(chan struct{}, 2)
	for i, q := range p.questions {
		values := make(url.Values)
		for name, value := range q.parameters {
			values.Set(name, value)
		}
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			began := time.Now()
			answers[i], faults[i] = p.get(ctx, "/api/query/"+q.name+"?"+values.Encode())
			p.note("of them "+q.name+" "+q.note, began)
		})
	}
	group.Wait()
	for i, err := range faults {
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.questions[i].name, err)
		}
	}
	return answers[slices.IndexFunc(p.questions, func(q question) bool { return q.note == affiliates })], nil
}

// note notes how long a step took.
func (p *page) note(step string, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps[step] = append(p.steps[step], time.Since(began))
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
