package traffic

import "time"

// Tempo says how long people take.
type Tempo struct {
	Decide time.Duration // median time from click to purchase
	Renew  time.Duration // one subscription period
	Refund time.Duration // median time from payment to refund or dispute
	Return time.Duration // median time to a buyer's next purchase [three periods]
}

// Calendar is the tempo of a real shop with weekly plans.
var Calendar = Tempo{Decide: 40 * time.Minute, Renew: 7 * 24 * time.Hour, Refund: 30 * time.Hour,
	Return: 20 * 24 * time.Hour}

// Compressed is the tempo of a demonstration: a subscription renews while one watches.
var Compressed = Tempo{Decide: 4 * time.Second, Renew: 20 * time.Second, Refund: 15 * time.Second,
	Return: 50 * time.Second}

// Options of a World. A zero value means the default in brackets; a negative share means none.
type Options struct {
	Start  time.Time     // first possible click [2026-01-05 00:00 UTC]
	Span   time.Duration // first clicks fall into [Start, Start+Span) [24h]; who comes back may click later
	Until  time.Time     // nothing happens after this moment, though deliveries may still be under way [Start+Span]
	Clicks int           // how many, without those of returning buyers; negative for none [1000]
	Tempo  Tempo         // [Calendar]

	Buyers      float64 // share of human clicks that become buyers [0.02]
	Leads       float64 // share of the other human clicks that sign up [0.06]
	Bots        float64 // share of clicks by crawlers [0.03]
	Refunds     float64 // share of payments that go back, in part or whole, or are disputed [0.10]
	PlanChanges float64 // share of subscription periods in whose middle the plan changes [0.04]
	Returning   float64 // share of customers who buy once more, by another click [0.08]
	Duplicates  float64 // share of events that Stripe delivers twice [0.06]
	Disorder    float64 // share of payments whose events arrive in a random order [0.15]
	Late        float64 // share of events that arrive much later, as after a failed attempt [0.02]
	Hostile     float64 // share of clicks whose id a stranger sends again, later and for another affiliate [none]
	Corrections float64 // share of customers whose metadata names another click at first [none]
	// share of payments that the bank takes back after they succeeded [none]
	LateFailures float64
	// share of payments of which a part was given back that the bank then takes back [none]
	FailRefunded float64
	// share of invoices of subscriptions that credit pays: of the first the customer's balance all, of
	// later ones billing credits a part [none]
	Credits    float64
	Declines   float64 // share of payments of which attempts are declined before [none]
	Thin       float64 // share of events that come as thin events, whose snapshot is to be fetched [none]
	LateClicks float64 // share of buyers whose click reaches the edge after their purchase [0.05]

	// each buyer's endpoint has one of them; with a single one the same objects are reported in its
	// shape [APIVersions]
	APIVersions []string
	Channels    []Channel  // how buyers' sales name their click, drawn evenly [a believable mixture]
	Scenarios   []Scenario // what buyers do, drawn evenly [a believable mixture]
	Currencies  []string   // what buyers pay in, drawn evenly [usd, eur and jpy, by the buyer's country]
	Rare        bool       // what goes back goes back in every way that Stripe knows, the rare ones too
	SettleUSD   bool       // Stripe settles every currency in USD, rather than in itself
	TestMode    bool       // livemode false in every Stripe object

	AccountCustomers bool   // customers are accounts (Accounts v2): customer_account instead of customer
	Account          string // acct_…: events of this connected account [none]
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
	if o.Tempo.Return == 0 {
		o.Tempo.Return = 3 * o.Tempo.Renew
	}
	for _, s := range []struct {
		share *float64
		value float64
	}{
		{&o.Buyers, .02}, {&o.Leads, .06}, {&o.Bots, .03}, {&o.Refunds, .10}, {&o.PlanChanges, .04}, {&o.Returning, .08},
		{&o.Duplicates, .06}, {&o.Disorder, .15}, {&o.Late, .02}, {&o.LateClicks, .05},
	} {
		if *s.share == 0 {
			*s.share = s.value
		}
	}
	if len(o.APIVersions) == 0 {
		o.APIVersions = APIVersions
	}
	return o
}
