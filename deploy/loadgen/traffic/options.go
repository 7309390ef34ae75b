package traffic

import "time"

// API versions of the two shapes of Stripe's objects. Basil (2025-03-31) took the invoice off charges and payment
// intents, and the payment intent off invoices.
const (
	APIOld = "2023-10-16"
	APINew = "2025-09-30.clover"
)

// Tempo says how long people take.
type Tempo struct {
	Decide time.Duration // median time from click to purchase
	Renew  time.Duration // one subscription period
	Refund time.Duration // median time from payment to refund or dispute
}

// Calendar is the tempo of a real shop with weekly plans.
var Calendar = Tempo{Decide: 40 * time.Minute, Renew: 7 * 24 * time.Hour, Refund: 30 * time.Hour}

// Compressed is the tempo of a demonstration: a subscription renews while one watches.
var Compressed = Tempo{Decide: 4 * time.Second, Renew: 20 * time.Second, Refund: 15 * time.Second}

// Options of a World. A zero value means the default in brackets; a negative share means none.
type Options struct {
	Start  time.Time     // first possible click [2026-01-05 00:00 UTC]
	Span   time.Duration // clicks fall into [Start, Start+Span) [24h]
	Until  time.Time     // nothing happens after this moment, though deliveries may still be under way [Start+Span]
	Clicks int           // how many; negative for none [1000]
	Tempo  Tempo         // [Calendar]

	Buyers     float64 // share of human clicks that become buyers [0.02]
	Leads      float64 // share of the other human clicks that sign up [0.06]
	Bots       float64 // share of clicks by crawlers [0.03]
	Duplicates float64 // share of events that Stripe delivers twice [0.06]
	Disorder   float64 // share of payments whose events arrive in a random order [0.15]
	Late       float64 // share of events that arrive much later, as after a failed attempt [0.02]
	LateClicks float64 // share of buyers whose click reaches the edge after their purchase [0.05]

	APIVersions []string // one is drawn per buyer [APIOld, APINew]
	Keyings     []Keying // how buyers' sales name their click, drawn evenly [a believable mixture]
	Lives       []Life   // what buyers do, drawn evenly [a believable mixture]
	TestMode    bool     // livemode false in every Stripe object
	Account     string   // acct_…: events of this connected account [none]
}

func (o Options) withDefaults() Options {
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	}
	o.Start = o.Start.UTC()
	if o.Span <= 0 {
		o.Span = 24 * time.Hour
	}
	if o.Until.IsZero() {
		o.Until = o.Start.Add(o.Span)
	}
	if o.Clicks == 0 {
		o.Clicks = 1000
	}
	if o.Tempo == (Tempo{}) {
		o.Tempo = Calendar
	}
	for _, s := range []struct {
		share *float64
		value float64
	}{
		{&o.Buyers, .02}, {&o.Leads, .06}, {&o.Bots, .03}, {&o.Duplicates, .06},
		{&o.Disorder, .15}, {&o.Late, .02}, {&o.LateClicks, .05},
	} {
		if *s.share == 0 {
			*s.share = s.value
		}
	}
	if len(o.APIVersions) == 0 {
		o.APIVersions = []string{APIOld, APINew}
	}
	return o
}
