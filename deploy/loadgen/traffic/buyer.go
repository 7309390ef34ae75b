package traffic

import (
	"hash/fnv"
	"time"
)

// buyer is one person's scenario as Stripe reports it. What is drawn at random never depends on the
// API version: the same scenario can be reported in every shape.
type buyer struct {
	w        *World
	visitor  visitor
	person   person
	scenario Scenario
	api      version
	currency string
	taxed    bool
	account  bool // customers are accounts: customer_account instead of customer

	customer         string            // cus_…; empty for a guest
	customerMetadata map[string]string // of the customer
	customerClick    Click             // that it names
	previousClick    Click             // that it named before
	subscription     string            // sub_…; empty without one
	// the customer's balance with us after a downgrade, minor units; it pays for the next invoices
	credit     int64
	statements []statement // who can be found by what: the truth about attribution
	pending    []pending   // movements whose credit is decided when the scenario is over
	last       time.Time   // when something last happened
	bundle     []Delivery  // made, not yet delivered
}

// buyer lets the visitor behind c buy. It may hold the click back, so that the sale arrives
// first.
func (w *World) buyer(c *Click, v visitor) {
	s := &buyer{
		w: w, visitor: v, person: w.person(v), api: w.apiOf(c.ID.String()), currency: v.country.currency,
		taxed: w.chance(.6), account: w.opts.AccountCustomers,
	}
	channel := Channel("")
	s.scenario, channel = scenarios[scenarioShares.draw(w.r)], channels[channelShares.draw(w.r)]
	if len(w.opts.Scenarios) > 0 {
		s.scenario = pick(w, w.opts.Scenarios)
	}
	if !s.api.since(s.scenario.since()) {
		s.scenario = Instalments
	}
	if len(w.opts.Channels) > 0 {
		channel = pick(w, w.opts.Channels)
	}
	if len(w.opts.Currencies) > 0 {
		s.currency = pick(w, w.opts.Currencies)
	}
	channel = s.reconcile(channel, *c)
	decide := around(w.r, w.opts.Tempo.Decide)
	at := c.EventTime.Add(decide).Truncate(time.Second).Add(time.Second)
	if channel.needsLead() || w.chance(.3) {
		s.lead(*c, c.EventTime.Add(decide/3))
	}
	if at.After(w.opts.Until) {
		return
	}
	if w.chance(w.opts.LateClicks) {
		c.SendAt = at.Add(10*time.Second + around(w.r, w.opts.Tempo.Decide/2))
	}
	w.Scenarios++
	t := s.trace(channel, *c, at)
	s.live(t, at)
	s.comeBack(t)
	s.leave()
	w.finish(s)
}

// apiOf returns the API version of the endpoint that is sent a name. It draws no random number.
func (w *World) apiOf(name string) version {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return version(w.opts.APIVersions[int(h.Sum32()%uint32(len(w.opts.APIVersions)))])
}

// lead signs the buyer up: from then on the click is known by the person's own id.
func (s *buyer) lead(c Click, at time.Time) {
	if s.w.lead(c, s.person, at) {
		s.state(func(n *names) { n.tie(byExternal, candidate{click: &c}) })
	}
}

// knownAs draws what the customer's metadata says since an event.
func (s *buyer) knownAs(event string, at time.Time) {
	if s.customerMetadata == nil {
		return
	}
	c := s.customerClick
	s.state(func(n *names) {
		n.customerIsExternal = true
		n.customerField = append(n.customerField, fieldValue{at.Truncate(time.Second), candidate{click: &c}})
	}, event)
}

// comeBack lets a customer buy something else weeks later, by another click.
func (s *buyer) comeBack(first *trace) {
	w := s.w
	if s.customer == "" || !w.chance(w.opts.Returning) || s.scenario == Consolidated {
		return
	}
	at := first.opened.Add(around(w.r, w.opts.Tempo.Return)).Truncate(time.Second)
	channel := channels[channelShares.draw(w.r)]
	if len(w.opts.Channels) > 0 {
		channel = pick(w, w.opts.Channels)
	}
	clicked := at.Add(-around(w.r, w.opts.Tempo.Decide)).Truncate(time.Millisecond)
	if clicked.Before(first.opened) {
		clicked = first.opened.Add(at.Sub(first.opened) / 2).Truncate(time.Millisecond)
	}
	c := w.click(clicked, s.visitor)
	for c.Bot {
		c = w.click(clicked, s.visitor)
	}
	if at.After(w.opts.Until) {
		return
	}
	if channel.affiliateOnly() || first.channel.affiliateOnly() {
		// People come back to the partner who sent them. Of two affiliates that one customer's
		// sales name without a click nobody can say which was first.
		c = w.clickBy(first.click.Link, clicked, s.visitor)
	}
	s.scenario = OneTime
	channel = s.reconcile(channel, c)
	w.Clicks = append(w.Clicks, c)
	t := s.trace(channel, c, at)
	if channel.needsLead() {
		s.lead(c, clicked.Add(at.Sub(clicked)/3))
	}
	if channel == CustomerMetadata {
		s.event("customer.updated", at.Add(-2*time.Second), s.customerObject(at.Add(-2*time.Second)),
			object{"metadata": s.previousMetadata()})
		s.knownAs("customer.updated", at.Add(-2*time.Second))
	}
	if at.After(s.last) {
		s.last = at
	}
	s.checkout(t, at, OneTime)
}

// previousMetadata is what the customer's metadata said before the last change.
func (s *buyer) previousMetadata() object {
	if s.previousClick.ID.IsZero() {
		return object{"pimmsClickId": nil, "pimmsCustomerId": nil}
	}
	return object{"pimmsClickId": s.previousClick.ID.String()}
}

// leave deletes some customers when all is over.
func (s *buyer) leave() {
	w := s.w
	at := s.last.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if deleted := w.chance(.03); s.customer == "" || s.account || !deleted || at.After(w.opts.Until) {
		return
	}
	s.event("customer.deleted", at, s.customerObject(at), nil)
	s.deliver()
}
