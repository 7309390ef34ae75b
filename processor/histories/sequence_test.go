package histories

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/schemas"
)

// delivery is one record, and what to call it in a log.
type delivery struct {
	record *kgo.Record
	sent   time.Time
	title  string
	body   []byte
}

// pairs are the properties of each click, and the metadata of each lead. Go gives the pairs of a
// map in another order each time, so that whatever depends on it differs between two tries.
var pairs = map[string]string{
	"plan": "pro", "seats": "12", "coupon": "SPRING", "invoice_id": "in_1", "currency": "usd", "trial": "true",
}

// records writes a World's traffic as the edge and the webhook would, and after each click a page
// view by the same visitor.
func records(tb testing.TB, w *traffic.World) []delivery {
	tb.Helper()
	var all []delivery
	for _, c := range w.Clicks {
		r, err := schemas.ClickRecord(&schemas.Click{
			Workspace: "default", Vouched: true, ClickId: c.ID[:], ClickedAt: c.EventTime.UnixMilli(),
			ReceivedAt: c.SendAt.UnixMilli() + 20, ProgramId: c.Link.Program,
			AffiliateId: c.Link.Affiliate, LinkId: c.Link.ID, VisitorId: c.Visitor, Url: c.URL, Referrer: c.Referrer,
			UserAgent: c.UserAgent,
			Country:   c.Country, Trigger: c.Link.Trigger, Consent: c.Consent, Properties: pairs,
		}, nil)
		if err != nil {
			tb.Fatal(err)
		}
		body, err := json.Marshal(c)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, delivery{r, c.SendAt, "click " + c.ID.String(), body})
		view := c.ID
		view[15] ^= 0xff
		if r, err = schemas.ClickRecord(&schemas.Click{
			Workspace: "default", ClickId: view[:], ClickedAt: c.EventTime.UnixMilli() + 1000,
			ReceivedAt: c.SendAt.UnixMilli() + 1020, AffiliateId: c.Link.Affiliate, VisitorId: c.Visitor, Url: c.URL,
			UserAgent: c.UserAgent, Trigger: "pageview", Consent: c.Consent, Properties: pairs,
		}, nil); err != nil {
			tb.Fatal(err)
		}
		all = append(all, delivery{r, c.SendAt.Add(time.Second), "page view after click " + c.ID.String(), body})
	}
	for _, l := range w.Leads {
		id := sha256.Sum256([]byte("default\x00" + l.ExternalID + "\x00" + l.Event))
		r, err := schemas.LeadRecord(&schemas.Lead{
			Workspace: "default", LeadId: id[:16], ReceivedAt: l.SendAt.UnixMilli() + 20, ClickRef: l.ClickID.String(),
			ExternalId: l.ExternalID,
			EventName:  l.Event, Mode: "async", Quantity: 1, Metadata: pairs,
		})
		if err != nil {
			tb.Fatal(err)
		}
		body, err := json.Marshal(l)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, delivery{r, l.SendAt, "lead of " + l.ExternalID, body})
	}
	for _, d := range w.Deliveries {
		var e struct {
			Livemode bool
			Account  string
		}
		if err := json.Unmarshal(d.Body, &e); err != nil {
			tb.Fatal(err)
		}
		event := &schemas.StripeEvent{
			ID: d.EventID, Type: d.Type, Account: e.Account, APIVersion: d.APIVersion, Livemode: e.Livemode,
			ReceivedAt: d.SendAt.Truncate(time.Millisecond), Body: d.Body,
		}
		title := fmt.Sprintf("%s %s (%s, copy %d)", d.Type, d.Object, d.EventID, d.Copy)
		if d.Thin == nil || d.Twice {
			all = append(all, delivery{schemas.StripeRecord(event, d.Object), d.SendAt, title, d.Body})
		}
		if d.Thin != nil {
			thin := *event
			thin.ID, thin.Type, thin.APIVersion = "thin_"+d.EventID, "v1."+d.Type, ""
			thin.Thin, thin.Body = true, d.Thin
			all = append(all, delivery{schemas.StripeRecord(&thin, d.Object), d.SendAt, "thin " + title, d.Body})
		}
	}
	slices.SortStableFunc(all, func(a, b delivery) int { return a.sent.Compare(b.sent) })
	return all
}

// order is an order in which records are delivered.
type order struct {
	name  string
	delay time.Duration // each record is delayed by less than this; negative: any order
	twice float64       // share of records that are delivered twice, beyond what Stripe repeats
}

var orders = []order{{"as sent", 0, 0}, {"delayed", 6 * time.Hour, .1}, {"shuffled", -1, .3}}

func (o order) arrange(r *rand.Rand, all []delivery) []delivery {
	out := slices.Clone(all)
	for _, t := range all {
		if r.Float64() < o.twice {
			out = append(out, t)
		}
	}
	switch {
	case o.delay < 0:
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	case o.delay > 0:
		for i := range out {
			out[i].sent = out[i].sent.Add(time.Duration(r.Int64N(int64(o.delay))))
		}
		slices.SortStableFunc(out, func(a, b delivery) int { return a.sent.Compare(b.sent) })
	}
	return out
}

// playback delivers a sequence to a processor in batches of random size. A few times the processor
// is restarted, and a few times it crashes in the middle of a batch; either way some records before
// that are delivered again. It logs what was delivered.
type playback struct {
	processor *processor
	r         *rand.Rand
	sequence  []delivery
	log       []any // deliveries and remarks
}

func (t *playback) remark(format string, args ...any) {
	t.log = append(t.log, fmt.Sprintf(format, args...))
}

func (t *playback) run() {
	most := []int{1, 8, 64, 512}[t.r.IntN(4)]
	breaks := make(map[int]bool) // places in the sequence; true: a crash
	for i := range 6 {
		breaks[t.r.IntN(len(t.sequence))] = i%2 == 0
	}
	for at := 0; at < len(t.sequence); {
		n := min(1+t.r.IntN(most), len(t.sequence)-at)
		restart := false
		for place := at; place < at+n; place++ {
			if crashes, ok := breaks[place]; ok {
				restart = !crashes
				if crashes {
					t.processor.crash = &crash{table: tables[t.r.IntN(len(tables))], after: t.r.IntN(2),
						stored: t.r.IntN(2) == 0}
				}
				delete(breaks, place)
			}
		}
		batch := make([]*kgo.Record, n)
		for i, record := range t.sequence[at : at+n] {
			batch[i] = record.record
			t.log = append(t.log, record)
		}
		if crash := t.processor.crash; t.processor.feed(batch) != nil {
			at = max(0, at-t.r.IntN(100))
			t.remark("crashes at an insert into %s (stored: %v), restarts, and reads again from %d on", crash.table,
				crash.stored, at)
			t.processor.start()
			continue
		}
		t.processor.crash = nil
		at += n
		if restart {
			at = max(0, at-t.r.IntN(200))
			t.remark("restarts, and reads again from %d on", at)
			t.processor.start()
		} else {
			t.remark("end of batch")
		}
	}
	if err := t.processor.feed(nil); err != nil { // what was fetched last
		t.processor.tb.Fatal(err)
	}
}

// about returns the part of the log that mentions any of some ids, with bodies.
func (t *playback) about(ids []string) string {
	var b strings.Builder
	for i, item := range t.log {
		switch item := item.(type) {
		case string:
			fmt.Fprintf(&b, "      — %s\n", item)
		case delivery:
			concerns := slices.ContainsFunc(ids, func(id string) bool {
				return id != "" &&
					bytes.Contains(item.body, []byte(id))
			})
			if !concerns {
				continue
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, item.body); err != nil {
				compact.WriteString(err.Error())
			}
			fmt.Fprintf(&b, "%5d %s %s\n      %s\n", i, item.record.Timestamp.UTC().Format(time.RFC3339), item.title,
				compact.Bytes())
		}
	}
	return b.String()
}
