package explain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/explain"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/recompute"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

var update = flag.Bool("update", false, "write the explanations into testdata/explanations.txt; read the "+
	"difference before committing it")

const explanations = "testdata/explanations.txt"

// Each block of explanations.txt is what happened, a line ----, and the printed explanation, from
// the real engine.
//
//	policy KEY=VALUE …              window_days, touch, follow, renewals_days
//	rate CURRENCY DAY USD           a published rate, from then on
//	click NAME TIME KEY=VALUE …     affiliate, program, link, campaign; received=TIME; $NAME is its id in what follows
//	lead TIME KEY=VALUE …           external, click, event
//	event TYPE TIME OBJECT          the object as JSON; it reaches us a second later
//	sweep                           two hours pass, and the sweep looks at what is not finished
//	ask OBJECT                      the last line
func TestStories(t *testing.T) {
	store := engine(t)
	data, err := os.ReadFile(explanations)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimRight(string(data), "\n"), "\n====\n")
	for i, block := range blocks {
		script, want, found := strings.Cut(block+"\n", "\n----\n")
		want = strings.TrimSpace(want)
		if !found {
			t.Fatalf("block %d has no ----", i+1)
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(script, "# "), "\n")
		t.Run(title, func(t *testing.T) {
			w := &world{t: t, store: store, workspace: fmt.Sprintf("w%d", i), clicks: map[string]string{},
				offset: int64(1000 * i)}
			got := strings.TrimRight(w.live(script), "\n")
			blocks[i] = script + "\n----\n" + got
			if !*update && strings.TrimSpace(got) != want {
				t.Errorf("the explanation is\n%s\n\nwant\n%s", got, want)
			}
		})
	}
	if *update {
		if err := os.WriteFile(explanations, []byte(strings.Join(blocks, "\n====\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// An explanation is JSON too, and every way to ask for a sale gives the same one.
func TestWaysToAsk(t *testing.T) {
	w := &world{t: t, store: engine(t), workspace: "w", clicks: map[string]string{}}
	var inJSON []string
	w.live(`click A 2026-03-02T08:30 affiliate=ann
lead 2026-03-02T09:00 external=user_1 click=$A event=Register
event checkout.session.completed 2026-03-02T10:00 {"id":"cs_1","object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd","amount_total":5000,"customer":"cus_1","payment_intent":"pi_1","metadata":{"pimmsCustomerId":"user_1"}}
event refund.created 2026-03-03T10:00 {"id":"re_1","object":"refund","amount":500,"currency":"usd","payment_intent":"pi_1","status":"succeeded","created":1772532000}
ask pi_1`)
	first, err := explain.Explain(t.Context(), w.store, "w", "pi_1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, asked := range []string{"pi_1", "cs_1", "re_1", "cus_1", "user_1", "external:user_1", "customer:cus_1",
		w.clicks["A"], "tributary_id_" + w.clicks["A"], first.Sales[0].Entries[0].ID} {
		explanation, err := explain.Explain(t.Context(), w.store, "w", asked, nil)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		sales, err := json.Marshal(explanation.Sales)
		if err != nil {
			t.Fatal(err)
		}
		inJSON = append(inJSON, string(sales))
	}
	if len(inJSON) != 10 || len(slices.Compact(slices.Clone(inJSON))) != 1 ||
		!strings.Contains(inJSON[0], `"verdict":"credited"`) || !strings.Contains(inJSON[0], `"amount_minor":-500`) {
		t.Errorf("explanations differ, or lack something:\n%s", strings.Join(inJSON, "\n"))
	}
	for _, asked := range []string{"pi_nobody", "", "%", "external:", "00000000000000000000000000000000",
		`"; DROP TABLE ledger --`} {
		if _, err := explain.Explain(t.Context(), w.store, "w", asked, nil); !errors.Is(err, explain.ErrUnknown) {
			t.Errorf("%q: %v, want ErrUnknown", asked, err)
		}
	}
	if _, err := explain.Explain(t.Context(), w.store, "another", "pi_1", nil); !errors.Is(err, explain.ErrUnknown) {
		t.Errorf("another workspace: %v, want ErrUnknown", err)
	}
}

func engine(t *testing.T) *clickhouse.Store {
	t.Helper()
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.OpenUnpaced(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// world is a processor without Kafka.
type world struct {
	t         *testing.T
	store     *clickhouse.Store
	workspace string
	policies  join.Policies
	rates     []fx.Rate
	clicks    map[string]string
	offset    int64
	now       time.Time
}

// Convert implements ledger.Rates by whatever is published so far.
func (w *world) Convert(currency string, at time.Time) (fx.Quote, int, bool) {
	table := fx.NewTable([][]fx.Rate{w.rates}, fx.Options{MaxAge: 7})
	exponent, _ := fx.Exponent(currency)
	quote, ok := table.Lookup(currency, fx.DateOf(at))
	return quote, exponent, ok
}

func (w *world) live(script string) string {
	w.now = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	recomputer := recompute.New(recompute.Config{
		Store: w.store, Rates: w, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return w.now }, Policies: func(string) join.Policies { return w.policies },
	})
	money := &consume.Payments{Store: w.store, Recomputer: recomputer,
		Workspace: func(*schemas.StripeEvent) (string, bool) { return w.workspace, true },
		Events:    consume.NewEventsMetric()}
	clicks := &consume.Clicks{Store: w.store, Recomputer: recomputer}
	handle := func(handler consume.Handler, r *kgo.Record) {
		w.offset++
		r.Offset = w.offset
		letter := func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
			l := schemas.DeadLetterRecord(r, step, reason, cause)
			l.Topic, l.Timestamp = schemas.TopicDeadLetters, r.Timestamp
			return money.Handle(ctx, []*kgo.Record{l}, nil)
		}
		if err := handler(w.t.Context(), []*kgo.Record{r}, letter); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, line := range strings.Split(script, "\n") {
		for name, id := range w.clicks {
			line = strings.ReplaceAll(line, "$"+name, id)
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "#":
		case "policy":
			m := pairs(rest)
			window, _ := strconv.Atoi(m["window_days"])
			w.policies = join.Policies{{Window: time.Duration(window) * 24 * time.Hour, Touch: join.Touch(m["touch"])}}
		case "rate":
			f := strings.Fields(rest)
			day, err := fx.ParseDate(f[1])
			if err != nil {
				w.t.Fatal(err)
			}
			w.rates = append(w.rates, fx.Rate{Currency: f[0], Date: day, USD: decimal.RequireFromString(f[2]),
				Source: "ecb"})
		case "click":
			name, rest, _ := strings.Cut(rest, " ")
			at, rest := w.time(rest)
			handle(clicks.Handle, w.click(name, at, pairs(rest)))
		case "lead":
			at, rest := w.time(rest)
			m := pairs(rest)
			r, err := schemas.LeadRecord(&schemas.Lead{Workspace: w.workspace,
				LeadId: fmt.Appendf(nil, "%-16.16s", m["external"]+w.workspace), ReceivedAt: at.UnixMilli(),
				ClickRef: m["click"], ExternalId: m["external"], EventName: m["event"], Mode: "async", Quantity: 1})
			if err != nil {
				w.t.Fatal(err)
			}
			r.Timestamp = at
			handle(money.Handle, r)
		case "event":
			typ, rest, _ := strings.Cut(rest, " ")
			at, object := w.time(rest)
			id := fmt.Sprintf("evt_%d", w.offset%1000)
			body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":"2025-09-30.clover","created":%d,"livemode":true,"data":{"object":%s}}`, id, typ, at.Unix(), object)
			handle(money.Handle, schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: typ, Livemode: true,
				APIVersion: "2025-09-30.clover", ReceivedAt: at.Add(time.Second), Body: []byte(body)}, id))
		case "sweep":
			w.now = w.now.AddDate(1, 0, 0)
			sales, err := w.store.Unfinished(w.t.Context(), time.Time{}, 1000)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, s := range sales {
				if s.Workspace != w.workspace {
					continue
				}
				if err := recomputer.Recompute(w.t.Context(), s.Workspace,
					[]identity.Node{identity.New(identity.Object, s.ObjectID)}, nil); err != nil {
					w.t.Fatal(err)
				}
			}
		case "ask":
			explanation, err := explain.Explain(w.t.Context(), w.store, w.workspace, rest, w.policies)
			if err != nil {
				w.t.Fatal(err)
			}
			var out bytes.Buffer
			if err := explanation.Print(&out); err != nil {
				w.t.Fatal(err)
			}
			return out.String()
		default:
			w.t.Fatalf("%q is no word of a explanation", word)
		}
	}
	w.t.Fatal("nothing is asked")
	return ""
}

func (w *world) click(name string, at time.Time, m map[string]string) *kgo.Record {
	id := schemas.NewClickID(at)
	copy(id[9:], fmt.Sprintf("%-7.7s", name+w.workspace))
	id[6], id[7], id[8] = 0x70, 0, 0x80
	w.clicks[name] = id.String()
	received := at.Add(20 * time.Millisecond)
	if m["received"] != "" {
		received, _ = w.time(m["received"])
	}
	url := "https://shop.example/?utm_campaign=" + m["campaign"]
	r, err := schemas.ClickRecord(&schemas.Click{Workspace: w.workspace, ClickId: id[:], ClickedAt: at.UnixMilli(),
		ReceivedAt:  received.UnixMilli(),
		AffiliateId: m["affiliate"], ProgramId: m["program"], LinkId: m["link"], Url: url}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) time(text string) (time.Time, string) {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse("2006-01-02T15:04", stamp)
	if err != nil {
		w.t.Fatalf("%q is no time like 2026-03-02T10:00", stamp)
	}
	return at, rest
}

func pairs(text string) map[string]string {
	m := map[string]string{}
	for _, f := range strings.Fields(text) {
		k, v, _ := strings.Cut(f, "=")
		m[k] = v
	}
	return m
}
