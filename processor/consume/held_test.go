package consume

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/workspace"
	"tributary/schemas"
)

// heldTest is a processor over the real engine that reads a workspaces file.
type heldTest struct {
	*pipeline
	file  *workspace.File
	money *Payments
	log   strings.Builder
	store *dyingStore
}

// dyingStore fails to insert into one table of one workspace, once: a processor that dies there.
type dyingStore struct {
	recompute.Store
	table, workspace string
}

var errDies = errors.New("the processor dies")

func (d *dyingStore) dies(table, workspace string) bool {
	dies := d.table == table && d.workspace == workspace
	if dies {
		d.table = ""
	}
	return dies
}

func (d *dyingStore) InsertEvents(ctx context.Context, rows []clickhouse.EventRow) error {
	if len(rows) > 0 && d.dies("stripe_events", rows[0].Workspace) {
		return errDies
	}
	return d.Store.InsertEvents(ctx, rows)
}

func (d *dyingStore) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	if len(rows) > 0 && d.dies("ledger", rows[0].Workspace) {
		return errDies
	}
	return d.Store.InsertLedger(ctx, rows)
}

const (
	othersFile = `[{"id":"other","stripe":[{"accounts":["acct_other"],"secrets":["whsec_0123456789abcdef"]}]}]`
	listedFile = `[{"id":"other","stripe":[{"accounts":["acct_other"],"secrets":["whsec_0123456789abcdef"]}]},
		{"id":"default","stripe":[{"accounts":["acct_new"],"secrets":["whsec_fedcba9876543210"]}]}]`
)

func newHeldTest(t *testing.T) *heldTest {
	h := &heldTest{pipeline: newPipeline(t), file: readFile(t, othersFile)}
	h.store = &dyingStore{Store: h.pipeline.store}
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	recomputer := recompute.New(recompute.Config{Store: h.store, Rates: testRates, Log: log, Released: h.file.Released})
	h.money = &Payments{Store: h.store, Recomputer: recomputer, Events: NewEventsMetric(), Workspace: h.file.OfEvent}
	clicks := &Clicks{Store: h.store, Recomputer: recomputer}
	if err := clicks.Handle(t.Context(), []*kgo.Record{click(t, -60, &schemas.Click{AffiliateId: "ann"})},
		nil); err != nil {
		t.Fatal(err)
	}
	return h
}

func readFile(t *testing.T, text string) *workspace.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "workspaces.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := workspace.Read(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// of makes a record one of an account that nobody listed when it came.
func of(t *testing.T, account, secret string, r *kgo.Record) *kgo.Record {
	t.Helper()
	e, err := schemas.DecodeStripe(r)
	if err != nil {
		t.Fatal(err)
	}
	e.Account, e.Unlisted = account, schemas.SecretDigest(secret)
	return schemas.StripeRecord(e, string(r.Key))
}

func (h *heldTest) handle(t *testing.T, m *Payments, records ...*kgo.Record) {
	t.Helper()
	set := func(_ context.Context, r *kgo.Record, step, reason string, cause error) error {
		t.Errorf("dead letter: %s %s %v\n%s", step, reason, cause, r.Value)
		return nil
	}
	if err := m.Handle(t.Context(), records, set); err != nil {
		t.Fatal(err)
	}
}

// restarted returns a Held that knows nothing of what was booked before.
func (h *heldTest) restarted() *Held {
	return NewHeld(h.pipeline.store, h.money, h.file.Released, prometheus.NewRegistry(),
		slog.New(slog.NewTextHandler(&h.log, nil)))
}

func (h *heldTest) want(t *testing.T, want uint64, query string) {
	t.Helper()
	if got := h.count(query); got != want {
		t.Errorf("%s: %d, want %d", query, got, want)
	}
}

const (
	countBooked = "SELECT toUInt64(abs(sum(amount))) FROM ledger_current WHERE workspace = 'default'"
	countHeld   = "SELECT count() FROM ledger FINAL WHERE status = 'held' AND amount != 0"
	leftover    = "SELECT toUInt64(sum(abs(amount))) FROM ledger FINAL WHERE startsWith(workspace, 'unlisted/')"
)

// The money of an account that no workspace lists is held, in no view, and named to the operator.
// Listed, it is booked once, with the credit that it would have had, whatever happens meanwhile: a
// processor that dies before the end, a restart, a processor that has not read the new file. What a
// stranger's secret signed stays held.
func TestHeldAccount(t *testing.T) {
	const own, stranger = "whsec_fedcba9876543210", "whsec_0123456789abcdef"
	h := newHeldTest(t)
	payments := []*kgo.Record{
		event(t, "evt_cus", "customer.created", 0, 1, j{"id": "cus_1", "object": "customer",
			"metadata": j{"pimmsCustomerId": "user_1", "pimmsClickId": clickID(-60).String()}}),
		event(t, "evt_pi", "payment_intent.succeeded", 2, 1, j{"id": "pi_1", "object": "payment_intent", "currency": "usd",
			"amount": 5000, "amount_received": 5000, "customer": "cus_1", "invoice": "in_1"}),
		event(t, "evt_in", "invoice.paid", 3, 1, j{"id": "in_1", "object": "invoice", "currency": "usd", "amount_paid": 5000,
			"total": 5000, "customer": "cus_1", "payment_intent": "pi_1", "charge": "ch_1"}),
		event(t, "evt_re", "refund.created", 9, 1, j{"id": "re_1", "amount": 500, "currency": "usd", "payment_intent": "pi_1",
			"charge": "ch_1", "status": "succeeded", "created": epoch.Unix() + 8}),
	}
	for _, r := range payments {
		h.handle(t, h.money, of(t, "acct_new", own, r))
	}
	forged := event(t, "evt_forged", "checkout.session.completed", 5, 1, j{"id": "cs_9", "mode": "payment",
		"payment_status": "paid", "currency": "usd", "amount_total": 99_999_999, "payment_intent": "pi_9"})
	h.handle(t, h.money, of(t, "acct_new", stranger, forged))

	held := h.restarted()
	if err := held.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.want(t, 3, countHeld)
	h.want(t, 1, "SELECT toUInt64(sum(amount) = 4500) FROM ledger FINAL WHERE status = 'held' AND object_id != 'pi_9'")
	h.want(t, 5, "SELECT count() FROM stripe_events FINAL WHERE account = 'acct_new'")
	h.want(t, 0, "SELECT count() FROM leads FINAL")
	h.nowhere(t)
	if w := held.Warning(); !strings.Contains(w, `"acct_new"`) || !strings.Contains(w, "hint: list it") {
		t.Errorf("the operator reads %q", w)
	}
	if n := strings.Count(h.log.String(), "level=ERROR"); n != 2 { // one for each secret
		t.Errorf("the log has %d errors:\n%s", n, h.log.String())
	}

	older := readFile(t, othersFile)
	stale := &Payments{ // of a processor that reads the new file later
		Store: h.store, Events: NewEventsMetric(), Workspace: older.OfEvent,
		Recomputer: recompute.New(recompute.Config{Store: h.store, Rates: testRates, Released: older.Released}),
	}
	h.file.Replace(readFile(t, listedFile))
	for _, table := range []string{"ledger", "stripe_events"} { // before the booking, and after it
		h.store.table, h.store.workspace = table, "default"
		if err := held.Once(t.Context()); !errors.Is(err, errDies) {
			t.Fatalf("%v, want %v", err, errDies)
		}
	}
	for range 3 {
		if err := h.restarted().Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.want(t, 4500, countBooked)
		h.want(t, 2, "SELECT count() FROM revenue FINAL WHERE workspace = 'default' AND affiliate_id = 'ann' AND status = "+
			"'booked' AND amount != 0")
		h.want(t, 1, "SELECT count() FROM people WHERE workspace = 'default' AND affiliate_id = 'ann'")
		h.want(t, 1, countHeld) // the forged one
	}
	h.handle(t, h.money, of(t, "acct_new", own, payments[1])) // Kafka sends one again
	late := of(t, "acct_new", own, event(t, "evt_re2", "refund.created", 20, 1, j{"id": "re_2", "amount": 700,
		"currency": "usd", "payment_intent": "pi_1", "charge": "ch_1", "status": "succeeded", "created": epoch.Unix() + 19}))
	h.handle(t, stale, late)
	held = h.restarted()
	if err := held.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.want(t, 3800, countBooked)
	h.want(t, 1, countHeld)
	h.want(t, 99_999_999, leftover)
	h.want(t, 0, "SELECT count() FROM ledger_current WHERE workspace != 'default'")
	if w := held.Warning(); !strings.Contains(w, "1 of account") {
		t.Errorf("of the forged event the operator reads %q", w)
	}
}

// nowhere fails if a view, or a table for dashboards, sums what is held.
func (h *heldTest) nowhere(t *testing.T) {
	t.Helper()
	for table, condition := range map[string]string{"ledger_current": "1", "funnel": "net_usd != 0 OR sales + leads != 0",
		"people": "1", "revenue FINAL": "status = 'booked' AND amount != 0", "leads_attributed": "1"} {
		h.want(t, 0, "SELECT count() FROM "+table+" WHERE startsWith(workspace, 'unlisted/') AND ("+condition+")")
	}
}
