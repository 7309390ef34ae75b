package ledger_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/race"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/credit"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
)

var update = flag.Bool(
	"update",
	false,
	"write what the scripts give into testdata; read the difference before committing it",
)

// The scripts in testdata are the specification of the ledger, for bookkeepers: what happened, a
// line ----, and the rows that must stand in the end. Each block is handled in many orders, every
// event twice, and must end in the same rows to the last byte.
//
//	policy KEY=VALUE …                    window_days, touch, follow, renewals_days of the workspace
//	rate CURRENCY DAY USD                 one published rate; without any, the usual ones of 2026-03-02
//	click NAME TIME KEY=VALUE …           $NAME is its id in what follows; affiliate, program, link, foreign; received:
//	                                      when the edge took it, if later; vouched: a secret key came with it; as: it is
//	                                      sent under the id of another click
//	lead TIME KEY=VALUE …                 external, click, event, email; public: a browser sent it; stripe: the invoice
//	                                      or payment intent that a backend says it sold, as /track/sale does;
//	                                      occurred: when it was, if it is imported
//	credit TIME SALE DECISION             affiliate:ID, click:$NAME, nobody: or undone:, as processor credit decides
//	catalogue HEADER|ROW …                as processor catalogue reads it
//	api VERSION                           of the events that follow
//	account [ID]                          of the events that follow: a connected one, as a Connect endpoint names it
//	event TYPE TIME OBJECT [was VALUES]   the object as JSON, and what the event changed, as it was; it reaches us a
//	                                      second later
//	test-event TYPE TIME OBJECT           the same with livemode=false
//	movement KIND ID TIME KEY=VALUE …     as POST /v1/movements stores it: parent, amount, tax, currency, affiliate,
//	                                      click, external, customer, subscription, product; test: test mode;
//	                                      received: when it was sent, if later
//	show day                              write on which day each movement is booked
//	show candidates                       write who else could have been credited
//	show buyer                            write the customer and the subscription of each movement
//
// A block of six steps or less is handled in all orders, without the race detector; every block
// also by a processor that dies in the midst of each of its steps. After the last step the sweep
// looks at what is unfinished.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(strings.TrimRight(string(data), "\n"), "\n====\n")
		for i, block := range blocks {
			steps, want, found := strings.Cut(block, "\n----")
			if !found {
				t.Fatalf("%s: block %d has no ----", file, i+1)
			}
			title, _, _ := strings.Cut(strings.TrimPrefix(steps, "# "), "\n")
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+title, func(t *testing.T) {
				got := rowsOfBlock(t, steps)
				blocks[i] = steps + "\n----\n" + got
				if !*update && got != strings.TrimSpace(want) {
					t.Errorf("got:\n%s\nwant:\n%s", got, strings.TrimSpace(want))
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.Join(blocks, "\n====\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// script is one block, read.
type script struct {
	t        *testing.T
	policies join.Policies
	rates    []fx.Rate
	api      string          // version of the events
	account  string          // connected account of the events
	show     map[string]bool // day, candidates, buyer
	clicks   map[string]schemas.ClickID
	names    map[string]string // click id → its name
	steps    []func(*processor) error
	later    []func(*processor) error // what could not be done yet
}

// processor is a processor without Kafka, over the model of ClickHouse.
type processor struct {
	*clickhousetest.Model
	money      *consume.Payments
	clicks     *consume.Clicks
	recomputer *recompute.Recomputer
	now        time.Time
	loses      string // what is not stored, because the processor dies before it: facts or names
}

var errDied = errors.New("the processor died")

func (m *processor) InsertFacts(ctx context.Context, rows []clickhouse.FactRow) error {
	if m.loses == "facts" {
		return errDied
	}
	return m.Model.InsertFacts(ctx, rows)
}

func (m *processor) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	if m.loses == "names" {
		return errDied
	}
	return m.Model.InsertEdges(ctx, rows)
}

func rowsOfBlock(t *testing.T, text string) string {
	s := &script{t: t, clicks: map[string]schemas.ClickID{}, names: map[string]string{}, show: map[string]bool{}}
	for _, line := range joinLines(text) {
		s.read(line)
	}
	if s.rates == nil {
		for _, r := range strings.Fields(
			"eur=1.1 gbp=1.3 jpy=0.0067 kwd=3.25 isk=0.0072 ugx=0.00027 huf=0.0028 mga=0.00022 clp=0.00105 twd=0.031") {
			currency, usd, _ := strings.Cut(r, "=")
			s.rate(currency, "2026-03-02", usd)
		}
	}
	table := fx.NewTable([][]fx.Rate{s.rates}, fx.Options{MaxAge: 400})
	if s.t.Failed() {
		t.FailNow()
	}
	want, dead := "", ""
	compare := func(order []int) {
		got, letters := s.run(table, order)
		if want == "" {
			want, dead = got, letters
		}
		if got != want || letters != dead {
			t.Fatalf("order %v gives other rows:\n%s\nthan as written:\n%s", order, got+letters, want+dead)
		}
	}
	written := make([]int, len(s.steps))
	for i := range written {
		written[i] = i
	}
	rounds := 40
	if race.Enabled {
		rounds = 2
	}
	for round := range rounds {
		order := make([]int, 0, 2*len(s.steps))
		for i := range s.steps {
			order = append(order, i)
			if round > 0 {
				order = append(order, i)
			}
		}
		rng := rand.New(rand.NewSource(int64(round)))
		switch {
		case round == 1:
			slices.Reverse(order)
		case round > 1:
			rng.Shuffle(len(order), func(i, k int) { order[i], order[k] = order[k], order[i] })
		}
		compare(order)
	}
	if len(written) <= 6 && !testing.Short() && !race.Enabled {
		permute(slices.Clone(written), 0, compare)
	}
	for i := range s.steps {
		if race.Enabled && i%6 != (len(s.steps)-1)%6 { // the last step, and every sixth before it
			continue
		}
		for _, loses := range []string{"facts", "names"} {
			if got, _ := s.crash(table, i, loses); got != want {
				t.Fatalf("step %d, of which the %s were lost at first, gives other rows:\n%s\nthan as written:\n%s",
					i+1, loses, got, want)
			}
		}
	}
	return s.rows(table, written, dead)
}

// crash gives everything to processors of which one dies in the midst of a step: of the facts and
// names that it says only one half is stored. Others handle the other steps meanwhile, and at last
// the step is read again.
func (s *script) crash(table *fx.Table, step int, loses string) (ledger, letters string) {
	m := s.start(table)
	m.loses = loses
	if err := s.steps[step](m); err != nil && !errors.Is(err, errDied) {
		s.t.Fatal(err)
	}
	m.loses = ""
	for _, i := range rand.New(rand.NewSource(int64(step))).Perm(len(s.steps)) {
		if i == step {
			continue
		}
		if err := s.steps[i](m); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.steps[step](m); err != nil {
		s.t.Fatal(err)
	}
	s.sweep(m)
	return s.outcome(m)
}

// permute calls f with every order of what stands from k on.
func permute(order []int, k int, f func([]int)) {
	if k == len(order) {
		f(order)
		return
	}
	for i := k; i < len(order); i++ {
		order[k], order[i] = order[i], order[k]
		permute(order, k+1, f)
		order[k], order[i] = order[i], order[k]
	}
}

func (s *script) handle(r *kgo.Record) func(*processor) error {
	return func(m *processor) error {
		return m.money.Handle(
			context.Background(),
			[]*kgo.Record{r},
			func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
				letter := schemas.DeadLetterRecord(r, step, reason, cause)
				letter.Topic, letter.Offset = schemas.TopicDeadLetters, 0
				return m.money.Handle(ctx, []*kgo.Record{letter}, nil)
			},
		)
	}
}

func (s *script) play(table *fx.Table, order []int) *processor {
	m := s.start(table)
	for _, i := range order {
		if err := s.steps[i](m); err != nil {
			s.t.Fatal(err)
		}
	}
	s.sweep(m)
	return m
}

func (s *script) start(table *fx.Table) *processor {
	s.later = nil
	m := &processor{Model: clickhousetest.New(s.t), now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	log := slog.New(slog.DiscardHandler)
	m.recomputer = recompute.New(recompute.Config{
		Store: m, Rates: rates{table}, Log: log,
		Policies: func(string) join.Policies { return s.policies }, Now: func() time.Time { return m.now },
		BatchTime: 1, // no batch is under way while a catalogue is loaded
	})
	keys, err := stripe.NewKeys(nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	keys.HashEmail = hash
	m.money = &consume.Payments{
		Store:      m,
		Recomputer: m.recomputer,
		Workspace:  func(*schemas.StripeEvent) (string, bool) { return "default", true },
		Keys:       func(string) *stripe.Keys { return keys },
		Events:     consume.NewEventsMetric(),
	}
	m.clicks = &consume.Clicks{Store: m, Recomputer: m.recomputer}
	return m
}

// sweep does what could not be done yet, and looks at what is unfinished two hours later.
func (s *script) sweep(m *processor) {
	for tried := 0; len(s.later) > 0; tried++ { // what one of them decides, another may take back
		step := s.later[0]
		s.later = s.later[1:]
		switch err := step(m); {
		case errors.Is(err, credit.ErrUnknown) && tried < len(s.steps)*len(s.steps):
			s.later = append(s.later, step)
		case err != nil:
			s.t.Fatal(err)
		}
	}
	m.now = m.now.Add(2 * time.Hour)
	sales, _ := m.Unfinished(context.Background(), time.Time{}, 1000)
	for _, sale := range sales {
		if err := m.recomputer.Recompute(context.Background(), sale.Workspace,
			[]identity.Node{identity.New(identity.Object, sale.ObjectID)}, nil); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run returns the whole ledger and leads to the last byte.
func (s *script) run(table *fx.Table, order []int) (ledger, letters string) {
	return s.outcome(s.play(table, order))
}

func (s *script) outcome(m *processor) (ledger, letters string) {
	var leads []string
	for _, l := range m.AllLeads() {
		leads = append(leads, fmt.Sprintf("%+v", l))
	}
	slices.Sort(leads)
	var dead []string
	for _, l := range m.DeadLetters() {
		dead = append(dead, fmt.Sprintf("dead letter: %s: %s", l.Reason, l.Error))
	}
	slices.Sort(dead)
	return m.Table() + strings.Join(leads, "\n"), strings.Join(slices.Compact(dead), "\n")
}

// rows writes the end as a bookkeeper would; what is superseded is seen by the row that stands
// instead.
func (s *script) rows(table *fx.Table, order []int, dead string) string {
	var lines []string
	m := s.play(table, order)
	for _, e := range m.Ledger() {
		if e.Status == ledger.Superseded || e.Amount == 0 {
			continue
		}
		line := fmt.Sprintf("%s %s: %d %s", e.Kind, e.ObjectID, e.Amount, e.Currency)
		if s.show["day"] {
			line = e.OccurredAt.Format(time.DateOnly) + " " + line
		}
		for _, part := range []struct {
			name string
			n    int64
		}{{"tax", e.Tax}, {"shipping", e.Shipping}, {"discount", e.Discount}} {
			if part.n != 0 {
				line += fmt.Sprintf(", %s %d", part.name, part.n)
			}
		}
		for _, p := range e.Products {
			line += fmt.Sprintf(", %d for %s", p.Net, cmp.Or(p.Product, "what is not named"))
		}
		if e.AmountUSD == nil {
			line += ", no rate"
		} else {
			line += fmt.Sprintf(" = %s USD", e.AmountUSD)
			if e.FXSource == "stripe" {
				line += " by Stripe's rate"
			}
		}
		if !e.Livemode {
			line += ", test mode"
		}
		if strings.HasPrefix(e.Account, "acct_") {
			line += ", on " + e.Account
		}
		line += ", " + s.credit(e.MatchRule, e.Click)
		if e.SaleID != e.ObjectID {
			line += ", of " + e.SaleID
		}
		if s.show["buyer"] {
			line += strings.TrimRight(fmt.Sprintf(", %s %s", cmp.Or(e.CustomerID, "nobody"), e.SubscriptionID), " ")
		}
		if s.show["candidates"] && len(e.MatchCandidates) > 0 {
			line += ", before " + s.named(strings.Join(e.MatchCandidates, " and "))
		}
		lines = append(lines, line)
	}
	for _, l := range m.AllLeads() {
		line := fmt.Sprintf("lead %q of %s", l.EventName, l.Person)
		if l.Quantity != 1 {
			line += fmt.Sprintf(", %d seats", l.Quantity)
		}
		line += ": " + s.credit(l.MatchRule, l.Click)
		if !l.Livemode {
			line += ", test mode"
		}
		if !l.Vouched {
			line += ", a browser's"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	if dead != "" {
		lines = append(lines, dead)
	}
	if len(lines) == 0 {
		return "nothing"
	}
	return strings.Join(lines, "\n")
}

// named writes clicks by their names.
func (s *script) named(text string) string {
	for id, name := range s.names {
		text = strings.ReplaceAll(text, id, name)
	}
	return text
}

func (s *script) credit(rule join.Rule, c join.Click) string {
	who := "nobody's"
	if rule != join.RuleNone {
		who = "by " + string(rule)
	}
	if !c.ID.IsZero() {
		who += " click " + s.names[c.ID.String()]
	}
	if c.AffiliateID != "" {
		who += " affiliate " + c.AffiliateID
	}
	if c.ProgramID != "" {
		who += " program " + c.ProgramID
	}
	return who
}

type rates struct{ *fx.Table }

func (r rates) Convert(currency string, at time.Time) (fx.Quote, int, bool) {
	exponent, _ := fx.Exponent(currency)
	q, ok := r.Lookup(currency, fx.DateOf(at))
	return q, exponent, ok
}
