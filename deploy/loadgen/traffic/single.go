package traffic

import "time"

// The two functions below make single items for load and latency measurements. A World is not safe
// for concurrent use: let one goroutine make items and others send them.

// NextClick generates one more click at the given moment, by a person rather than a crawler. It is
// not added to Clicks.
func (w *World) NextClick(at time.Time) Click {
	at = at.UTC().Truncate(time.Millisecond)
	for {
		if c := w.click(at, w.visitor()); !c.Bot {
			return c
		}
	}
}

// Checkout generates the checkout.session.completed of a paid one-time purchase that names the
// click by its bare id, and the movement it stands for. Neither is added to the World.
func (w *World) Checkout(c Click, at time.Time) (Delivery, Movement) {
	at = at.UTC().Truncate(time.Second)
	s := &buyer{w: w, person: w.person(visitor{country: countries[0]}), scenario: Guest,
		api: version(w.opts.APIVersions[0]), currency: "usd"}
	t := s.trace(BareClick, c, at)
	g := goods[2]
	p := s.full(payment{by: t, price: s.priced(g, w.chance(.12)), at: at, name: g.name, session: w.id("cs"),
		intent: w.id("pi"), charge: w.id("ch")})
	s.event("checkout.session.completed", at, s.sessionObject(p, "complete", "paid"), nil)
	d := s.bundle[0]
	d.SendAt = at
	movements, balance := w.Movements, w.Balance
	s.book(p, at)
	m := s.attribute(everything)[0]
	w.Movements, w.Balance = movements, balance
	return d, m
}
