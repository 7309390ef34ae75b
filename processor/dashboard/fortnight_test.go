package dashboard

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/processor/rollup/rolluptest"
	"tributary/schemas"
)

// fortnight is two weeks of a small site, as the tracking script, a redirect and Stripe report
// them.
type fortnight struct {
	tb      testing.TB
	first   time.Time // midnight of the first day
	records []*kgo.Record
}

// at returns a time of a day of the fortnight.
func (f *fortnight) at(day, hour, minute int) time.Time {
	return f.first.AddDate(0, 0, day).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

// browser sends a click or page view and returns its id.
func (f *fortnight) browser(when time.Time, c *schemas.Click) schemas.ClickID {
	f.tb.Helper()
	id := schemas.NewClickID(when)
	c.Workspace, c.ClickId, c.ClickedAt, c.ReceivedAt = "default", id[:], when.UnixMilli(), when.UnixMilli()+20
	if c.UserAgent == "" {
		c.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	}
	record, err := schemas.ClickRecord(c, nil)
	if err != nil {
		f.tb.Fatal(err)
	}
	f.records = append(f.records, record)
	return id
}

func (f *fortnight) arrives(when time.Time, visitor, affiliate string) schemas.ClickID {
	return f.browser(when, &schemas.Click{VisitorId: visitor, AffiliateId: affiliate, Trigger: "link",
		Url: "https://shop.example/?via=" + affiliate})
}

func (f *fortnight) views(when time.Time, visitor, url string) schemas.ClickID {
	return f.browser(when, &schemas.Click{VisitorId: visitor, Trigger: "pageview", Url: url})
}

// pays sends a completed Checkout session that names a click; amount is in cents.
func (f *fortnight) pays(when time.Time, n, amount int, click schemas.ClickID) {
	id := fmt.Sprintf("evt_%d", n)
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":"checkout.session.completed","created":%d,"livemode":true,
		"data":{"object":{"id":"cs_%d","object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd",
		"amount_total":%d,"payment_intent":"pi_%d","client_reference_id":%q}}}`, id, when.Unix(), n, amount, n, click)
	f.records = append(f.records, schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: "checkout.session.completed",
		Livemode: true, ReceivedAt: when.Add(time.Second), Body: []byte(body)}, id))
}

// script returns the fortnight. The comments say what a merchant counts by hand.
func script(tb testing.TB) *fortnight {
	f := &fortnight{tb: tb, first: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -13)}

	// ann: clicks 1 and 2. Pia comes back by a redirect, first within an hour, then after it.
	f.arrives(f.at(0, 10, 0), "pia-laptop", "ann")
	f.arrives(f.at(0, 10, 59), "pia-laptop", "ann")
	credited := f.arrives(f.at(0, 11, 1), "pia-laptop", "ann")
	// page views 1 and 2: she goes on, and reloads the page that the link led to.
	f.views(f.at(0, 10, 1), "pia-laptop", "https://shop.example/pricing")
	f.views(f.at(0, 10, 2), "pia-laptop", "https://shop.example/?via=ann")
	// ann: click 3, by Pia's other device.
	f.arrives(f.at(2, 20, 0), "pia-phone", "ann")
	// bob: click 1. The second time is within an hour, though not in the same hour of the clock.
	f.arrives(f.at(1, 9, 50), "quinn", "bob")
	f.arrives(f.at(1, 10, 10), "quinn", "bob")
	// The ad's click is no affiliate's.
	ad := f.browser(f.at(1, 10, 20), &schemas.Click{VisitorId: "quinn", Trigger: "link",
		Url: "https://shop.example/?utm_source=google&utm_campaign=spring&gclid=g1"})
	// page view 3 names an affiliate and a click id of the site's, and is nobody's all the same.
	view := f.browser(f.at(1, 10, 25), &schemas.Click{VisitorId: "quinn", Trigger: "pageview",
		AffiliateId: "mallory", ForeignId: "site-7", Url: "https://shop.example/?via=mallory"})
	// page views 4 and 5: Ray followed no link.
	f.views(f.at(3, 8, 0), "ray", "https://shop.example/")
	f.views(f.at(3, 8, 1), "ray", "https://shop.example/about")
	// bob: clicks 2 and 3. Without consent nobody can say whether they are one person's.
	for minute := range 2 {
		f.browser(f.at(5, 12, minute), &schemas.Click{AffiliateId: "bob", Trigger: "link", Consent: "denied",
			Url: "https://shop.example/?via=bob"})
	}
	// A bot's clicks and page views do not count.
	for _, trigger := range []string{"link", "pageview"} {
		f.browser(f.at(4, 1, 0), &schemas.Click{VisitorId: "bot", AffiliateId: "ann", Trigger: trigger,
			Url:       "https://shop.example/?via=ann",
			UserAgent: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"})
	}
	f.pays(f.at(6, 9, 0), 1, 10000, credited)
	f.pays(f.at(7, 9, 0), 2, 5000, ad)
	f.pays(f.at(8, 9, 0), 3, 3000, view) // names a page view: nobody is credited
	return f
}

// What a merchant counts by hand is on the page, whatever the order in which the records arrive and
// however often.
func TestFortnight(t *testing.T) {
	dsn, conn := database(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	recomputer := recompute.New(recompute.Config{Store: store, Rates: clickhousetest.FixedRates{"usd": "1"},
		Log: slog.New(slog.DiscardHandler)})
	clicks := &consume.Clicks{Store: store, Recomputer: recomputer}
	payments := &consume.Payments{Store: store, Recomputer: recomputer, Events: consume.NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	noLetter := func(_ context.Context, _ *kgo.Record, _, _ string, cause error) error { return cause }

	f := script(t)
	sequence := slices.Concat(f.records, f.records)
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(sequence), func(i, k int) { sequence[i], sequence[k] = sequence[k], sequence[i] })
	for batch := range slices.Chunk(sequence, 7) {
		var clicked, paid []*kgo.Record
		for _, r := range batch {
			if r.Topic == schemas.TopicClicks {
				clicked = append(clicked, r)
			} else {
				paid = append(paid, r)
			}
		}
		if err := clicks.Handle(t.Context(), clicked, noLetter); err != nil {
			t.Fatal(err)
		}
		if err := payments.Handle(t.Context(), paid, noLetter); err != nil {
			t.Fatal(err)
		}
	}

	d := serve(t, Config{DSN: dsn}, time.Now)
	within := since(f.first)
	within.Set("to", f.first.AddDate(0, 0, 14).Format(time.RFC3339))
	// Visitors: Pia's two devices, Quinn, Ray, and all without consent together.
	same(t, "totals", figures(t, d, "totals", within,
		"clicks", "visitors", "page_views", "sales", "net_usd", "epc", "conversion"),
		[]string{"7 5 5 3 180.00 21.4286 0.2857"})
	same(t, "top", figures(t, d, "top", within, "dimension", "name", "clicks", "sales", "net_usd"),
		[]string{"affiliate ann 3 1 100.00", "affiliate bob 3 0 0.00", "campaign spring 1 1 50.00"})
	same(t, "unattributed", figures(t, d, "unattributed", within, "sales", "net_usd"), []string{"1 30.00"})
	within.Set("step", "86400")
	same(t, "by day", figures(t, d, "timeseries", within, "clicks", "page_views", "net_usd"), []string{
		"2 2 0.00", "2 1 0.00", "1 0 0.00", "0 2 0.00", "2 0 0.00", "0 0 100.00", "0 0 50.00", "0 0 30.00"})

	rolluptest.Refresh(t, store) // funnel holds the days that are computed
	for query, want := range map[string]uint64{
		"SELECT sum(clicks) FROM funnel":                                                   7,
		"SELECT sum(clicks) FROM funnel WHERE affiliate_id = 'ann'":                        3,
		"SELECT count() FROM clicks FINAL":                                                 10, // with repeats and the bot's
		"SELECT count() FROM page_views FINAL":                                             6,
		"SELECT countIf(trigger = 'pageview') FROM clicks FINAL":                           0,
		"SELECT count() FROM identities WHERE key LIKE '%mallory%' OR key LIKE '%site-7%'": 0,
	} {
		var got uint64
		if err := conn.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s gives %d, %v; want %d", query, got, err, want)
		}
	}
}
