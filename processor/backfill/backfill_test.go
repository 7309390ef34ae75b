package backfill

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/stripeapi"
	"tributary/schemas"
)

var now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// memory is a Store and a topic.
type memory struct {
	saved   *Progress
	records []*kgo.Record
}

func (m *memory) Load(context.Context) (Progress, bool, error) {
	if m.saved == nil {
		return Progress{}, false, nil
	}
	return *m.saved, true, nil
}

func (m *memory) Save(_ context.Context, p Progress) error { m.saved = &p; return nil }

func (m *memory) produce(_ context.Context, records []*kgo.Record) error {
	m.records = append(m.records, records...)
	return nil
}

// ids of the events that were written, each once, sorted.
func (m *memory) ids(t *testing.T) []string {
	ids := make(map[string]bool)
	for _, r := range m.records {
		e, err := schemas.DecodeStripe(r)
		if err != nil {
			t.Fatal(err)
		}
		ids[e.ID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

func (m *memory) backfill(api *stripeapi.Client) *Backfill {
	return &Backfill{
		API: api, Livemode: true, Since: time.Unix(unix(3, 1, 0), 0), Until: time.Unix(unix(6, 15, 0), 0).AddDate(0, 0, 1),
		Produce: m.produce, Store: m, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	}
}

// Interrupted at any list and started again it writes what one run writes; done twice it writes the
// same events; what changed meanwhile is another event; what is outside the period, or says
// nothing, is left out.
func TestResume(t *testing.T) {
	whole := new(memory)
	if result, err := whole.backfill(api(t, account(), nil)).Run(t.Context()); err != nil || result.Resumed ||
		!whole.saved.Done {
		t.Fatalf("%+v, %v", result, err)
	}
	want := whole.ids(t)
	for _, id := range want {
		if strings.Contains(id, "_old_") || strings.Contains(id, "draft") || strings.Contains(id, "pi_4") ||
			id == "evt_payout" {
			t.Errorf("%s is written", id)
		}
	}
	if len(want) != 12 {
		t.Errorf("%d events: %v", len(want), want)
	}
	for _, path := range paths() {
		m, asked := new(memory), 0
		stops := func(p string) bool {
			if p == path {
				asked++
			}
			return p == path && (asked == 2 || asked == 1 && len(account()[path]) <= 2)
		}
		if _, err := m.backfill(api(t, account(), stops)).Run(t.Context()); err == nil ||
			!strings.Contains(err.Error(), "read access") {
			t.Errorf("%s: %v", path, err)
		}
		before := len(m.records)
		result, err := m.backfill(api(t, account(), nil)).Run(t.Context())
		if got := m.ids(t); err != nil || !slices.Equal(got, want) || before > 0 && !result.Resumed {
			t.Errorf("%s: %v, resumed %t, %v, want %v", path, err, result.Resumed, got, want)
		}
		if before+len(m.records) > 2*len(want)+6 { // a page, and no more, may be written twice
			t.Errorf("%s: %d records before and %d after", path, before, len(m.records))
		}
	}
	if _, err := whole.backfill(api(t, account(), nil)).Run(t.Context()); err != nil || !slices.Equal(whole.ids(t), want) {
		t.Errorf("twice: %v, %v", err, whole.ids(t))
	}
	changed := account()
	changed["/v1/refunds"][0] = strings.Replace(changed["/v1/refunds"][0], "succeeded", "failed", 1)
	if _, err := whole.backfill(api(t, changed, nil)).Run(t.Context()); err != nil || len(whole.ids(t)) != len(want)+1 {
		t.Errorf("changed: %v, %v", err, whole.ids(t))
	}
	failed := account() // one that Stripe's balance had counted, and one that it had not
	for i, failure := range []string{`{"id":"txn_f","created":1775300000}`, "null"} {
		failed["/v1/charges"][i] = strings.Replace(failed["/v1/charges"][i], `"succeeded"`,
			`"failed","failure_balance_transaction":`+failure, 1)
	}
	fresh := new(memory)
	if _, err := fresh.backfill(api(t, failed, nil)).Run(t.Context()); err != nil || len(fresh.ids(t)) != len(want)-1 {
		t.Errorf("failed: %v, %v", err, fresh.ids(t))
	}
}

// The object after which the next page begins is deleted, in a run and between two: the list is
// read again from its beginning, and nothing is left out.
func TestDeletedBetweenPages(t *testing.T) {
	customers := func(ids ...string) map[string][]string {
		lists := account()
		lists["/v1/customers"] = nil
		for _, id := range ids {
			lists["/v1/customers"] = append(lists["/v1/customers"],
				fmt.Sprintf(`{"id":%q,"object":"customer","created":1700000000,"livemode":true}`, id))
		}
		return lists
	}
	whole := new(memory)
	if _, err := whole.backfill(api(t, customers("cus_1", "cus_2", "cus_3", "cus_4"), nil)).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, stops := range []bool{false, true} {
		m, lists, asked := new(memory), customers("cus_1", "cus_2", "cus_3", "cus_4"), 0
		deletes := func(path string) bool {
			if path != "/v1/customers" {
				return false
			}
			if asked++; asked == 2 {
				lists[path] = slices.Delete(lists[path], 1, 2)
			}
			return stops && asked == 2
		}
		_, err := m.backfill(api(t, lists, deletes)).Run(t.Context())
		if (err != nil) != stops {
			t.Errorf("stops %t: %v", stops, err)
		}
		if stops {
			if _, err := m.backfill(api(t, lists, nil)).Run(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if got, want := m.ids(t), whole.ids(t); !slices.Equal(got, want) {
			t.Errorf("stops %t: %v, want %v", stops, got, want)
		}
	}
}

// A dry run writes nothing; progress of another period, or from before Stripe forgot its events, is
// not taken up; the other mode is refused.
func TestBegin(t *testing.T) {
	m := new(memory)
	b := m.backfill(api(t, account(), nil))
	b.Produce, b.Store = nil, nil
	if result, err := b.Run(t.Context()); err != nil || result.Written["/v1/charges"] != 3 || len(m.records) > 0 {
		t.Errorf("%+v, %v", result, err)
	}
	for what, p := range map[string]Progress{
		"another period": {Since: 1, Until: 2, Events: now.Unix(), Step: 9},
		"long ago":       {Since: unix(3, 1, 0), Until: unix(6, 16, 0), Events: now.Add(-kept).Unix(), Step: 9},
		"done": {Since: unix(3, 1, 0), Until: unix(6, 16, 0), Events: now.Add(spare - kept).Unix(),
			Step: 9, Done: true},
	} {
		m := &memory{saved: &p}
		if result, err := m.backfill(api(t, account(), nil)).Run(t.Context()); err != nil || result.Resumed ||
			len(m.ids(t)) != 12 {
			t.Errorf("%s: %+v, %v", what, result, err)
		}
	}
	b = m.backfill(api(t, account(), nil))
	b.Livemode = false
	if _, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--test") {
		t.Errorf("%v", err)
	}
}

// A list of any length is read to its end; what is deleted is left out; references may be expanded.
func TestListsOfAnyLength(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 200, 201} {
		m, next := new(memory), 0
		api := answers(t, "/v1/refunds", func(w http.ResponseWriter, r *http.Request) {
			if after := r.URL.Query().Get("starting_after"); after != "" && after != fmt.Sprintf("re_%d", next-1) {
				t.Errorf("of %d: the page after %s is asked for", n, after)
			}
			var page []string
			for ; next < n && len(page) < 100; next++ {
				page = append(page, fmt.Sprintf(`{"id":"re_%d","object":"refund","created":%d,"amount":100,"currency":"usd",
					"charge":{"id":"ch_1","object":"charge"},"customer":{"id":"cus_1","object":"customer","deleted":true}}`,
					next, unix(4, 1, 0)))
			}
			fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":%t}`, strings.Join(page, ","), next < n)
		})
		if _, err := m.backfill(api).Run(t.Context()); err != nil || len(m.ids(t)) != n || !m.saved.Done {
			t.Errorf("of %d refunds %d are written: %v", n, len(m.ids(t)), err)
		}
		for _, r := range m.records {
			if string(r.Key) != "cus_1" {
				t.Fatalf("the key is %s", r.Key)
			}
		}
	}
	m := new(memory)
	api := answers(t, "/v1/customers", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"cus_1","object":"customer","deleted":true}],"has_more":false}`)
	})
	if _, err := m.backfill(api).Run(t.Context()); err != nil || len(m.records) > 0 {
		t.Errorf("a deleted customer: %d records, %v", len(m.records), err)
	}
}

// Whatever Stripe answers instead of a page, the backfill is not done, says why, and goes on later.
func TestNotDone(t *testing.T) {
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"more, and nothing": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"object":"list","data":[],"has_more":true}`)
		}, "empty page"},
		"a key that was revoked": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"message":"Expired API Key provided"}}`)
		}, "revoked"},
		"a right that the key lacks": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
		}, "read access to /v1/refunds"},
		"a clock that is behind": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(210*time.Minute).UTC().Format(http.TimeFormat))
			fmt.Fprint(w, `{"object":"list","data":[],"has_more":false}`)
		}, "differ by 3h"},
	} {
		m := new(memory)
		_, err := m.backfill(answers(t, "/v1/refunds", c.answer)).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "(hint: ") ||
			m.saved.Done || lists[m.saved.Step].path != "/v1/refunds" {
			t.Errorf("%s: %v, %+v", what, err, m.saved)
		}
	}
}

// What is no event is named, with why it is none only where JSON says so.
func TestNotAnEvent(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"cus_1","object":"customer"}`:      `read an event: object "customer", id "cus_1"`,
		`{"object":"event","type":"charge.paid"}`: `read an event: object "event", id ""`,
		`{"id":5,"object":"event"}`:               `read an event: json: cannot unmarshal number`,
	} {
		api := answers(t, "/v1/events", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":false}`, body)
		})
		_, err := new(memory).backfill(api).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// The key's own account is no connected one: its events name none.
func TestOwnAccount(t *testing.T) {
	for answer, refused := range map[string]bool{`{"id":"acct_own"}`: true, `{"id":"acct_platform"}`: false, "": false} {
		m := new(memory)
		b := m.backfill(answers(t, "/v1/account", func(w http.ResponseWriter, _ *http.Request) {
			if answer == "" {
				w.WriteHeader(http.StatusForbidden)
			}
			fmt.Fprint(w, answer)
		}))
		b.Account = "acct_own"
		if _, err := b.Run(t.Context()); (err != nil) != refused || refused && !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("the key's account is %q: %v", answer, err)
		}
	}
}

// What a movement's object and its event are dated by differs by seconds: one that lies between two
// periods is in one of them at least.
func TestPeriodsThatTouch(t *testing.T) {
	border := unix(4, 1, 0)
	for _, moved := range []int64{border - 2, border + 2} {
		m := new(memory)
		lists := map[string][]string{
			"/v1/refunds": {fmt.Sprintf(`{"id":"re_1","object":"refund","created":%d,"amount":1,"currency":"usd"}`, moved)},
		}
		for _, period := range [][2]int64{{unix(3, 1, 0), border}, {border, unix(5, 1, 0)}} {
			b := m.backfill(api(t, lists, nil))
			b.Since, b.Until = time.Unix(period[0], 0), time.Unix(period[1], 0)
			before := len(m.records)
			if _, err := b.Run(t.Context()); err != nil || len(m.records) == before {
				t.Errorf("moved %d s from the border of %v: %d records, %v", moved-border, period, len(m.records)-before, err)
			}
		}
		if ids := m.ids(t); len(ids) != 1 {
			t.Errorf("one refund is %v", ids)
		}
	}
}

// What moved money in the period is in it, also where it was taken back later.
func TestTakenBackAfterThePeriod(t *testing.T) {
	m := new(memory)
	created, later := unix(3, 30, 10), unix(4, 5, 10)
	b := m.backfill(api(t, map[string][]string{
		"/v1/refunds": {
			fmt.Sprintf(`{"id":"re_1","object":"refund","created":%d,"status":"failed","amount":100,"currency":"usd","charge":"ch_1",
				"failure_balance_transaction":{"id":"txn_1","created":%d}}`, created, later),
			fmt.Sprintf(`{"id":"re_2","object":"refund","created":%d,"status":"failed","amount":100,"currency":"usd","charge":"ch_1",
				"failure_balance_transaction":{"id":"txn_2","created":%d}}`, later, later),
		},
		"/v1/credit_notes": {fmt.Sprintf(`{"id":"cn_1","object":"credit_note","created":%d,"status":"void","voided_at":%d}`,
			created, later)},
	}, nil))
	b.Until = time.Unix(unix(4, 1, 0), 0)
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := strings.Join(m.ids(t), " ")
	if len(m.records) != 2 || !strings.Contains(ids, "re_1") || !strings.Contains(ids, "cn_1") {
		t.Errorf("written are %s", ids)
	}
}
