package histories

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/local/chdb/chdbtest"
	"tributary/deploy/race"
	"tributary/processor/consume"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

var onlySeed = flag.Uint64("seed", 0, "run only the history of this seed")

// options of the World of one seed: between them the seeds have every life, keying, currency, API
// version and tempo.
func options(seed uint64) traffic.Options {
	o := traffic.Options{
		Start: time.Date(2025, 10, 6, 0, 0, 0, 0, time.UTC), Span: 6 * 24 * time.Hour, Clicks: 12, Buyers: .85,
		Leads: .5, Bots: .02,
		Tempo: traffic.Calendar, Refunds: .3, PlanChanges: .2, Returning: .35, Duplicates: .15, Disorder: .4, Late: .1,
		LateClicks: .2, Hostile: .3,
		Currencies: traffic.Currencies, SettleUSD: seed%4 == 1, TestMode: seed%7 == 3,
		Rare: seed%4 >= 2, AccountCustomers: seed%11 == 5,
	}
	if seed%6 == 1 {
		o.Thin = .7
	}
	if seed%4 == 1 {
		o.Corrections = .5
	}
	if seed%8 == 6 {
		o.LateFailures, o.Credits = .15, .3
	}
	if seed%8 == 4 { // payments fail after a part went back too, also by a credit note of one product
		o.Rare, o.Refunds, o.LateFailures, o.FailRefunded = true, .6, .2, .5
	}
	switch seed % 5 {
	case 0: // monthly plans
		o.Tempo.Renew = 30 * 24 * time.Hour
	case 1: // people who think long: some clicks are too old when they buy
		o.Tempo = traffic.Tempo{Decide: 50 * 24 * time.Hour, Renew: 28 * 24 * time.Hour, Refund: 20 * 24 * time.Hour,
			Return: 60 * 24 * time.Hour}
	case 2: // a life within minutes
		o.Tempo, o.Span = traffic.Compressed, 20*time.Minute
	case 3: // before Adaptive Pricing kept the seller's currency
		o.Start, o.APIVersions = time.Date(2024, 9, 2, 0, 0, 0, 0, time.UTC), traffic.APIVersions[:4]
	}
	o.Until = o.Start.Add(220 * 24 * time.Hour)
	if seed%2 == 0 {
		o.Scenarios = traffic.Scenarios
	}
	if seed%4 == 3 {
		o.Scenarios, o.Declines = traffic.Billing, .2
	}
	if seed%3 == 0 {
		o.Channels = allChannels
	}
	if seed%3 == 1 {
		o.Account = "acct_1"
	}
	if o.SettleUSD {
		o.Currencies = slices.DeleteFunc(slices.Clone(traffic.Currencies), func(c string) bool { return c == "mga" })
	}
	return o
}

var allChannels = []traffic.Channel{
	traffic.BareClick, traffic.PimmsReference, traffic.DubReference, traffic.PimmsCustomer, traffic.DubCustomer,
	traffic.CustomerMetadata,
	traffic.PaymentMetadata, traffic.PushLapMetadata, traffic.BareAffiliate, traffic.PromotionCode, traffic.Unrelated,
	traffic.NoKey,
}

// fewer returns, under the race detector, the options of a World within one day, in which people
// live two scenarios and do not come back: for tests over the real engine, whose time grows with
// days and records. make proof has the whole World.
func fewer(o traffic.Options) traffic.Options {
	if race.Enabled {
		o.Span, o.Returning = 12*time.Hour, -1
		o.Scenarios = []traffic.Scenario{traffic.Subscription, traffic.OneTime}
	}
	return o
}

// history plays a seed's World once, in one order, and returns the playback with its processor.
func history(tb testing.TB, seed uint64, w *traffic.World, o order) *playback {
	r := rand.New(rand.NewPCG(seed, uint64(len(o.name))))
	t := &playback{processor: newProcessor(tb, rates(), w.End().AddDate(1, 0, 0)), r: r,
		sequence: o.arrange(r, records(tb, w))}
	t.processor.answer(w)
	t.run()
	return t
}

// judge fails with the log of whatever is wrong.
func judge(tb testing.TB, seed uint64, o order, t *playback, wrong []difference) {
	tb.Helper()
	if len(wrong) == 0 {
		return
	}
	var b strings.Builder
	var ids []string
	for i, d := range wrong {
		if i < 20 {
			fmt.Fprintf(&b, "%s\n", d.text)
		}
		if len(ids) == 0 {
			ids = d.ids
		}
	}
	tb.Fatalf("seed %d %s: %d differences\n%sThe log of the first one:\n%s\nthe ledger:\n%s", seed, o.name, len(wrong),
		&b, t.about(ids), t.processor.Table())
}

// worlds is how many Worlds the long test plays.
func worlds(t *testing.T) int {
	if text := os.Getenv("TRIBUTARY_LIVES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("read TRIBUTARY_LIVES: %v", err)
		}
		return n
	}
	if race.Enabled {
		return 20
	}
	return 300
}

// Whatever the order, the batches, the repetitions and the deaths: in the end the ledger is the
// truth, to the cent and to the reason, sums what Stripe's balance sums, and is the same table to
// the last byte.
func TestLedgerEqualsTruth(t *testing.T) {
	want, began := worlds(t), time.Now()
	var lived, events, movements atomic.Int64
	atOnce := uint64(10)
	if race.Enabled {
		atOnce = 2
	}
	for first := uint64(1); int(lived.Load()) < want; first += atOnce {
		last := first + atOnce
		if *onlySeed != 0 {
			first, last = *onlySeed, *onlySeed+1
		}
		t.Run(fmt.Sprintf("from=%d", first), func(t *testing.T) {
			for seed := first; seed < last; seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					t.Parallel()
					opts := options(seed)
					w := traffic.New(seed, opts)
					truth, table := truthOf(w, opts), ""
					for i, o := range orders {
						if race.Enabled && i > 0 && i%2 != int(seed%2) {
							continue
						}
						run := history(t, seed, w, o)
						entries := run.processor.Ledger()
						judge(t, seed, o, run, truth.differences(entries))
						judge(t, seed, o, run, truth.reconcile(entries))
						if table == "" {
							table = run.processor.Table()
						} else if got := run.processor.Table(); got != table {
							t.Fatalf("seed %d: %s gives another ledger:\n%s\nthan %s:\n%s", seed, o.name, got,
								orders[0].name, table)
						}
						events.Add(int64(len(run.sequence)))
					}
					lived.Add(int64(w.Scenarios))
					movements.Add(int64(len(w.Movements)))
				})
			}
		})
		if t.Failed() || *onlySeed != 0 {
			break
		}
		if testing.Verbose() {
			fmt.Fprintf(os.Stderr, "%d of %d Worlds, %d movements, %d records, %s\n", lived.Load(), want,
				movements.Load(), events.Load(), time.Since(began).Round(time.Second))
		}
	}
	t.Logf("%d Worlds, %d movements, %d records", lived.Load(), movements.Load(), events.Load())
}

// One life in the shapes of all API versions is one ledger.
func TestShapesAgree(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() || race.Enabled {
		seeds = 1
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		if *onlySeed != 0 && seed != *onlySeed {
			continue
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			first := ""
			versions := traffic.APIVersions
			if given := options(seed).APIVersions; given != nil {
				versions = given
			}
			for i, version := range versions {
				if race.Enabled && i%2 > 0 {
					continue
				}
				opts := options(seed)
				opts.APIVersions = []string{version}
				opts.Scenarios = slices.DeleteFunc(slices.Clone(opts.Scenarios), func(s traffic.Scenario) bool {
					return !s.InEveryShape() // older shapes have no words for it
				})
				w := traffic.New(seed, opts)
				run := history(t, seed, w, orders[seed%3])
				entries := run.processor.Ledger()
				judge(t, seed, orders[seed%3], run, truthOf(w, opts).differences(entries))
				if got := booked(entries); first == "" {
					first = got
				} else if got != first {
					t.Fatalf("seed %d in %s:\n%s\nin %s:\n%s", seed, version, without(got, first), versions[0], without(first, got))
				}
			}
		})
	}
}

// booked renders every column of the entries that count, but the version: it counts names and
// facts, of which the shapes have different numbers.
func booked(entries []ledger.Entry) string {
	var lines []string
	for _, e := range entries {
		if e.Status != ledger.Booked || e.Amount == 0 {
			continue
		}
		e.Version = ledger.Version{}
		lines = append(lines, fmt.Sprintf("%s %s %+v usd %s net %s rate %s", e.Kind, e.ObjectID, columns(e),
			text(e.AmountUSD), text(e.NetUSD), text(e.FXRate)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// without returns the lines of a that b lacks.
func without(a, b string) string {
	theirs := strings.Split(b, "\n")
	own := slices.DeleteFunc(strings.Split(a, "\n"), func(line string) bool { return slices.Contains(theirs, line) })
	return strings.Join(own, "\n")
}

// columns are an entry without its pointers.
func columns(e ledger.Entry) ledger.Entry {
	e.AmountUSD, e.NetUSD, e.FXRate = nil, nil, nil
	return e
}

// What finds no fault must be able to: each of these faults in an otherwise true ledger is found.
func TestFaultsAreFound(t *testing.T) {
	const seed = 2
	opts := options(seed)
	w := traffic.New(seed, opts)
	truth := truthOf(w, opts)
	rows := history(t, seed, w, orders[0]).processor.Ledger()
	if wrong := slices.Concat(truth.differences(rows), truth.reconcile(rows)); len(wrong) > 0 {
		t.Fatalf("the ledger was wrong before: %s", wrong[0].text)
	}
	sale := slices.IndexFunc(rows, func(e ledger.Entry) bool {
		return e.Status == ledger.Booked && e.Kind == traffic.Payment && e.MatchRule == join.RuleClickID &&
			e.AmountUSD != nil && e.Amount > 0
	})
	named := slices.IndexFunc(rows, func(e ledger.Entry) bool { return e.Status == ledger.Booked && len(e.Products) > 0 })
	for name, fault := range map[string]func(l []ledger.Entry) []ledger.Entry{
		"one cent more": func(l []ledger.Entry) []ledger.Entry { l[sale].Amount++; return l },
		"a day later": func(l []ledger.Entry) []ledger.Entry {
			l[sale].OccurredAt = l[sale].OccurredAt.AddDate(0, 0, 1)
			return l
		},
		"another affiliate": func(l []ledger.Entry) []ledger.Entry { l[sale].Click.AffiliateID = "mallory"; return l },
		"another click":     func(l []ledger.Entry) []ledger.Entry { l[sale].Click.ID[15]++; return l },
		"another rule":      func(l []ledger.Entry) []ledger.Entry { l[sale].MatchRule = join.RuleEmail; return l },
		"a millionth USD": func(l []ledger.Entry) []ledger.Entry {
			usd := l[sale].AmountUSD.Add(decimal.New(1, -6))
			l[sale].AmountUSD = &usd
			return l
		},
		"a cent of a product": func(l []ledger.Entry) []ledger.Entry {
			l[named].Products = slices.Clone(l[named].Products)
			l[named].Products[0].Net++
			return l
		},
		"not booked":   func(l []ledger.Entry) []ledger.Entry { return slices.Delete(l, sale, sale+1) },
		"held":         func(l []ledger.Entry) []ledger.Entry { l[sale].Status = ledger.Held; return l },
		"superseded":   func(l []ledger.Entry) []ledger.Entry { l[sale].Status = ledger.Superseded; return l },
		"booked twice": func(l []ledger.Entry) []ledger.Entry { return append(l, l[sale]) },
		"test mode":    func(l []ledger.Entry) []ledger.Entry { l[sale].Livemode = !l[sale].Livemode; return l },
	} {
		if len(truth.differences(fault(slices.Clone(rows)))) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	cent := slices.Clone(rows)
	cent[sale].Amount++
	if len(truth.reconcile(cent)) == 0 {
		t.Error("Stripe's balance is a cent off: not found")
	}
}

// BenchmarkLoad delivers Worlds to the handlers over the real engine, in batches as after an
// outage.
func BenchmarkLoad(b *testing.B) {
	opts := options(2)
	opts.Clicks = 3000
	w := traffic.New(2, opts)
	all := records(b, w)
	n := 0
	for b.Loop() {
		store := open(b, chdbtest.Start(b))
		r := recompute.New(recompute.Config{Store: store, Rates: rates(),
			Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.End().AddDate(1, 0, 0) }})
		clicks := &consume.Clicks{Store: store, Recomputer: r}
		money := &consume.Payments{Store: store, Recomputer: r, Workspace: func(*schemas.StripeEvent) (string,
			bool) {
			return "default", true
		}, Events: consume.NewEventsMetric()}
		for chunk := range slices.Chunk(all, 2000) {
			var clicked, paid []*kgo.Record
			for _, t := range chunk {
				if t.record.Topic == schemas.TopicClicks {
					clicked = append(clicked, t.record)
				} else {
					paid = append(paid, t.record)
				}
			}
			letter := func(_ context.Context, r *kgo.Record, step, reason string, cause error) error {
				return fmt.Errorf("dead letter: %s %s %w", step, reason, cause)
			}
			if err := errors.Join(clicks.Handle(b.Context(), clicked, letter),
				money.Handle(b.Context(), paid, letter)); err != nil {
				b.Fatal(err)
			}
		}
		n += len(all)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkHandle delivers Worlds to the processor's own handlers over the model: facts, names,
// join, versions; no network.
func BenchmarkHandle(b *testing.B) {
	opts := options(2)
	w := traffic.New(2, opts)
	all := records(b, w)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		h := newProcessor(b, rates(), w.End().AddDate(1, 0, 0))
		for chunk := range slices.Chunk(all, 500) {
			batch := make([]*kgo.Record, len(chunk))
			for i, t := range chunk {
				batch[i] = t.record
			}
			if err := h.feed(batch); err != nil {
				b.Fatal(err)
			}
		}
		n += len(all)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
