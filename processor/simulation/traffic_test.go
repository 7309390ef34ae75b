package simulation

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/join"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// traffic is what happens outside: what reaches the edge and when, and what is true of it.
type traffic struct {
	rng   *rand.Rand
	epoch time.Time
	edge  clock // of the edge and the webhook

	catalogued bool // bob's clicks say only which link was clicked; a catalogue says whose it is

	sends     []send
	movements map[string]movement // by object and kind
	clicks    map[schemas.ClickID]*schemas.Click
	leads     map[[16]byte]credit // by id
	bad       map[string]bad      // by the value of the record
	ids       int
}

// send is one record on its way into Kafka.
type send struct {
	at     time.Duration // since the epoch
	record *kgo.Record
}

// credit is who truly brought a sale or lead.
type credit struct {
	rule      join.Rule
	click     schemas.ClickID
	affiliate string
}

// movement of money that truly happened. Amounts are minor units, signed.
type movement struct {
	object, kind, sale, currency string
	amount, tax                  int64
	credit                       credit
}

// bad is a record that cannot be processed as what it says it is.
type bad struct {
	topic, step, reason string
	kept                string // id of the event that is stored in spite of it
}

// span is how long new buyers appear; what is late comes up to as much later.
const span = 100 * time.Second

func newTraffic(rng *rand.Rand, epoch time.Time, edge clock, catalogued bool) *traffic {
	t := &traffic{
		rng: rng, epoch: epoch, edge: edge, catalogued: catalogued, movements: map[string]movement{},
		clicks: map[schemas.ClickID]*schemas.Click{},
		leads:  map[[16]byte]credit{}, bad: map[string]bad{},
	}
	for _, a := range []string{"ann", "bob"} {
		t.click(time.Second, a, "")
	}
	for range 8 + rng.IntN(7) {
		t.buyer()
	}
	for range rng.IntN(4) {
		t.unreadable()
	}
	// Stripe delivers at least once, and so does an edge that was not answered
	for _, s := range slices.Clone(t.sends) {
		if rng.IntN(10) == 0 {
			again := *s.record
			t.send(s.at+t.upTo(60*time.Second), &again)
		}
	}
	t.sort()
	return t
}

func (t *traffic) sort() {
	slices.SortStableFunc(t.sends, func(a, b send) int { return int(a.at - b.at) })
}

func (t *traffic) upTo(d time.Duration) time.Duration {
	return time.Duration(t.rng.Int64N(int64(d))).Truncate(time.Millisecond)
}

func (t *traffic) id(prefix string) string { t.ids++; return fmt.Sprintf("%s_%d", prefix, t.ids) }

func (t *traffic) send(at time.Duration, r *kgo.Record) { t.sends = append(t.sends, send{at, r}) }

// received is the time that an edge's clock shows.
func (t *traffic) received(at time.Duration) time.Time { return t.epoch.Add(at + t.edge.off(at)) }

// delay is how late a record is: seldom much.
func (t *traffic) delay() time.Duration {
	if t.rng.IntN(8) == 0 {
		return t.upTo(60 * time.Second)
	}
	return t.upTo(2 * time.Second)
}

// click that happened at a moment; it is received then, and reaches Kafka when the edge's spool can
// be emptied.
func (t *traffic) click(at time.Duration, affiliate, foreign string) schemas.ClickID {
	moment := t.epoch.Add(at)
	id := schemas.NewClickID(moment)
	for i := 6; i < 16; i++ {
		id[i] = byte(t.rng.Uint32())
	}
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	c := &schemas.Click{
		Workspace: "default", Vouched: true, ClickId: id[:], ClickedAt: moment.UnixMilli(),
		ReceivedAt:  t.received(at).UnixMilli() + 20,
		AffiliateId: affiliate, ProgramId: "partners", LinkId: "link_" + affiliate, ForeignId: foreign,
		Url: "https://shop.example/?utm_source=" + affiliate,
	}
	if t.catalogued && affiliate == "bob" {
		c.AffiliateId, c.ProgramId = "", ""
	}
	t.clicks[id] = c
	sent := at + t.delay()
	t.send(sent, clickRecord(c))
	if t.rng.IntN(10) == 0 { // somebody else uses an id that stands in a URL: the first received stays
		thief := &schemas.Click{Workspace: "default", ClickId: id[:], ClickedAt: c.ClickedAt + 5000,
			ReceivedAt: c.ReceivedAt + 5000, AffiliateId: "mallory", ProgramId: "partners",
			Url: "https://shop.example/"}
		t.send(max(sent, at+5*time.Second)+t.upTo(20*time.Second), clickRecord(thief))
	}
	return id
}

func clickRecord(c *schemas.Click) *kgo.Record {
	r, err := schemas.ClickRecord(c, nil)
	if err != nil {
		panic(err)
	}
	return r
}

type object map[string]any

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// life is one buyer's.
type life struct {
	*traffic
	old      bool // shapes up to 2025-02: charges, payment intents and invoices name each other
	clock    time.Duration
	late     time.Duration // the next event's delay, if not 0
	unlinked bool          // no event ties the payment to its invoice
	customer string
	external string
	currency string
	amount   int64
	tax      int64
	named    naming
	rules    ruling
}

// naming is what the seller wrote where.
type naming struct {
	reference    string // client_reference_id of sessions
	sessionMeta  object
	customerMeta object
	wrongMeta    object // that the customer's had before it was corrected; nil: it was right
	intentMeta   object
}

// ruling is the truth of a life's credit: of what its session names, and of what only its buyer is
// known by.
type ruling struct{ session, renewal, bare, lead credit }

// deliver sends an event.
func (l *life) deliver(typ string, o object) {
	l.clock += time.Duration(l.rng.IntN(3)) * time.Second
	created := l.epoch.Add(l.clock).Truncate(time.Second)
	id := l.id("evt")
	body, err := json.Marshal(object{"id": id, "object": "event", "type": typ, "created": created.Unix(),
		"livemode": true, "api_version": "2023-10-16", "data": object{"object": o}})
	if err != nil {
		panic(err)
	}
	key := l.customer
	if key == "" {
		key, _ = o["id"].(string)
	}
	at := l.clock + cmp.Or(l.late, l.delay())
	l.late = 0
	l.send(at, schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: typ, Livemode: true, ReceivedAt: l.received(at),
		Body: body}, key))
}

func (l *life) move(m movement) {
	m.currency = l.currency
	l.movements[m.object+" "+m.kind] = m
}

func (t *traffic) buyer() {
	l := &life{traffic: t, old: t.rng.IntN(2) == 0, clock: t.upTo(span)}
	l.amount = []int64{500, 1001, 4900, 123457}[t.rng.IntN(4)]
	l.currency = []string{"usd", "eur", "eur", "jpy"}[t.rng.IntN(4)]
	l.tax = l.amount * int64(t.rng.IntN(3)) / 12
	kind := t.rng.IntN(11)
	if kind != 0 {
		l.customer = l.id("cus")
	}
	l.name()
	l.clock += 5 * time.Second
	if l.customer != "" && len(l.named.customerMeta) > 0 {
		if t.rng.IntN(2) == 0 { // reported after the sale
			l.late = 10*time.Second + t.upTo(40*time.Second)
		}
		if l.named.wrongMeta != nil {
			l.deliver("customer.created", object{"id": l.customer, "object": "customer", "metadata": l.named.wrongMeta})
			l.clock += time.Second
		}
		l.customerUpdated()
	}
	switch kind {
	case 0, 1, 2: // one-time checkout, of a guest or not
		intent, charge := l.pay("")
		l.session(intent, "", "payment", "")
		l.move(movement{object: intent, sale: intent, kind: stripe.Payment, amount: l.amount, tax: l.tax,
			credit: l.rules.session})
		l.back(intent, charge, l.tax, l.rules.session)
	case 3, 4, 5: // a subscription with renewals
		subscription := l.id("sub")
		renewals := 1 + t.rng.IntN(3)
		l.unlinked = !l.old && renewals == 1 && l.named.intentMeta == nil && t.rng.IntN(2) == 0
		for i := range renewals {
			invoice, whose := l.id("in"), l.rules.session
			intent, charge := l.pay(invoice)
			l.invoice(invoice, subscription, intent, charge)
			if i == 0 {
				l.session("", invoice, "subscription", subscription)
			} else {
				whose = l.rules.renewal
			}
			l.move(movement{object: intent, sale: invoice, kind: stripe.Payment, amount: l.amount, tax: l.tax,
				credit: whose})
			if t.rng.IntN(3) == 0 {
				l.back(invoice, charge, l.tax, whose)
			}
			l.clock += t.upTo(20 * time.Second)
		}
	case 6: // a payment intent of the seller's own; in newer shapes it may be an invoice's
		intent, charge := l.pay("")
		l.move(movement{object: intent, sale: intent, kind: stripe.Payment, amount: l.amount, credit: l.rules.bare})
		l.back(intent, charge, 0, l.rules.bare)
	case 7: // an invoice that was paid outside Stripe
		invoice := l.id("in")
		l.invoice(invoice, "", "", "")
		whose := l.rules.bare
		if l.named.intentMeta != nil { // there is no payment intent that says so
			whose = credit{rule: join.RuleNone}
		}
		l.move(movement{object: invoice, sale: invoice, kind: stripe.Payment, amount: l.amount, tax: l.tax,
			credit: whose})
	case 8:
		l.authorise()
	case 9:
		l.instalments()
	case 10:
		l.together()
	}
}

// customerUpdated says what the customer's metadata name, which makes the customer a lead.
func (l *life) customerUpdated() {
	l.deliver("customer.updated", object{"id": l.customer, "object": "customer", "metadata": l.named.customerMeta})
	hash := sha256.Sum256([]byte("default\x00\x00" + l.customer + "\x00New customer"))
	l.leads[[16]byte(hash[:16])] = l.rules.lead
}

// name decides how the buyer came, and where the seller wrote it.
func (l *life) name() {
	none := credit{rule: join.RuleNone}
	l.rules = ruling{none, none, none, none}
	affiliate := []string{"ann", "bob"}[l.rng.IntN(2)]
	click := func(foreign string) credit {
		return credit{join.RuleClickID, l.click(l.clock, affiliate, foreign), affiliate}
	}
	by := func(rule join.Rule, c credit) credit { c.rule = rule; return c }
	kind := l.rng.IntN(8)
	switch {
	case kind <= 1: // the session names the click, by our id or by the site's own
		foreign := ""
		if kind == 1 {
			foreign = l.id("site")
		}
		c := click(foreign)
		if l.named.reference = c.click.String(); foreign != "" {
			l.named.reference = foreign
		}
		l.rules.session, l.rules.renewal = c, by(join.RuleSubscription, c)
	case kind == 2 && l.customer != "": // leads: the last click before the sale
		l.external = l.id("user")
		c := click("")
		l.lead("Sign up", c)
		if l.rng.IntN(2) == 0 {
			l.clock += time.Second
			c = click("")
			l.lead("Trial", c)
		}
		meta := object{"pimmsCustomerId": l.external}
		l.named.customerMeta, l.named.sessionMeta = meta, meta
		l.rules = ruling{by(join.RuleExternal, c), by(join.RuleExternal, c), by(join.RuleStripeCustomer, c),
			by(join.RuleExternal, c)}
	case kind == 3 && l.customer != "": // the customer's metadata names the click
		c := by(join.RuleStripeCustomer, click(""))
		l.named.customerMeta = object{"pimmsClickId": c.click.String()}
		l.rules = ruling{c, c, c, c}
		if l.rng.IntN(2) == 0 { // the seller names a later click first, and corrects that within five minutes
			l.clock += time.Second
			l.named.wrongMeta = object{"pimmsClickId": click("").click.String()}
		}
	case kind == 4: // a bare affiliate
		l.named.reference = affiliate
		c := credit{rule: join.RuleAffiliate, affiliate: affiliate}
		l.rules.session, l.rules.renewal = c, c
	case kind == 5: // the payment intent's metadata names the affiliate
		l.named.intentMeta = object{"pushLapAffiliateId": affiliate}
		c := credit{rule: join.RuleAffiliate, affiliate: affiliate}
		l.rules.session, l.rules.renewal, l.rules.bare = c, c, c
	case kind == 6: // a click that the edge never saw
		l.named.reference = "pimms_id_" + l.id("lost")
	}
}

// lead reports a sign-up to the edge.
func (l *life) lead(event string, c credit) {
	at := l.clock + l.delay()
	id := l.id("lead")
	row := &schemas.Lead{Workspace: "default", LeadId: fmt.Appendf(nil, "%16s", id),
		ReceivedAt: l.received(at).UnixMilli(), ClickRef: c.click.String(), ExternalId: l.external, EventName: event,
		Mode: "async", Quantity: 1}
	r, err := schemas.LeadRecord(row)
	if err != nil {
		panic(err)
	}
	l.send(at, r)
	l.leads[[16]byte(row.LeadId)] = c // a lead names its click itself
}

func (l *life) shaped(o, oldOnly object) object {
	if l.old {
		for k, v := range oldOnly {
			o[k] = v
		}
	}
	return o
}

func (l *life) pay(invoice string) (intent, charge string) {
	intent, charge = l.id("pi"), l.id("ch")
	l.deliver("payment_intent.succeeded", l.shaped(object{"id": intent, "amount_received": l.amount,
		"currency": l.currency, "customer": null(l.customer), "latest_charge": charge, "metadata": l.named.intentMeta},
		object{"invoice": null(invoice)}))
	l.deliver("charge.succeeded", l.shaped(object{"id": charge, "amount": l.amount, "captured": true,
		"currency": l.currency, "customer": null(l.customer), "payment_intent": intent},
		object{"invoice": null(invoice)}))
	if invoice != "" && !l.unlinked {
		l.deliver("invoice_payment.paid", object{"id": l.id("inpay"), "invoice": invoice, "amount_paid": l.amount,
			"currency": l.currency, "payment": object{"type": "payment_intent", "payment_intent": intent}})
	}
	return intent, charge
}

func (l *life) session(intent, invoice, mode, subscription string) {
	l.deliver("checkout.session.completed", object{
		"id": l.id("cs"), "payment_status": "paid", "payment_intent": null(intent), "invoice": null(invoice),
		"amount_total": l.amount, "currency": l.currency,
		"total_details": object{"amount_tax": l.tax, "amount_discount": 0, "amount_shipping": 0},
		"customer":      null(l.customer), "mode": mode, "subscription": null(subscription),
		"client_reference_id": null(l.named.reference), "metadata": l.named.sessionMeta,
	})
}

func (l *life) invoice(id, subscription, intent, charge string) {
	o := object{"id": id, "amount_paid": l.amount, "total": l.amount, "currency": l.currency,
		"customer": null(l.customer), "status_transitions": object{"paid_at": l.epoch.Add(l.clock).Unix()}}
	if l.old {
		o["tax"], o["payment_intent"], o["charge"], o["subscription"] = l.tax, null(intent), null(charge),
			null(subscription)
	} else {
		o["total_taxes"] = []object{{"amount": l.tax}}
		o["parent"] = object{"type": "subscription_details",
			"subscription_details": object{"subscription": null(subscription)}}
	}
	l.deliver("invoice.paid", o)
}

// back returns some of the money back.
func (l *life) back(sale, charge string, tax int64, whose credit) {
	inherited := whose
	if whose.rule != join.RuleNone {
		inherited.rule = join.RuleSale
	}
	var out []movement
	var when []time.Time
	move := func(object, kind string, amount int64, at time.Duration) {
		out = append(out, movement{object: object, kind: kind, sale: sale, amount: amount, credit: inherited})
		when = append(when, l.epoch.Add(at).Truncate(time.Second))
	}
	defer func() { l.shareTax(out, when, tax) }()
	cumulative := int64(0)
	for range []int{0, 0, 1, 2}[l.rng.IntN(4)] {
		x := []int64{l.amount / 4, l.amount - cumulative}[l.rng.IntN(2)]
		if x <= 0 || cumulative+x > l.amount {
			break
		}
		re := object{"id": l.id("re"), "charge": charge, "amount": x, "currency": l.currency, "status": "succeeded",
			"created": l.epoch.Add(l.clock).Unix()}
		made := l.clock
		l.deliver("refund.created", re)
		l.deliver("charge.refunded", object{"id": charge, "amount_refunded": cumulative + x, "currency": l.currency})
		move(re["id"].(string), stripe.Refund, -x, made)
		if l.rng.IntN(5) > 0 {
			cumulative += x
			continue
		}
		failed := object{}
		for k, v := range re {
			failed[k] = v
		}
		failed["status"] = "failed"
		l.clock += time.Second
		l.deliver("refund.failed", failed)
		move(re["id"].(string), stripe.RefundReversal, x, l.clock)
		l.clock += time.Second
	}
	if left := l.amount - cumulative; left > 0 && l.rng.IntN(5) == 0 {
		dp := object{"id": l.id("dp"), "charge": charge, "amount": left, "currency": l.currency}
		l.deliver("charge.dispute.funds_withdrawn", dp)
		move(dp["id"].(string), stripe.Dispute, -left, l.clock)
		if l.rng.IntN(2) == 0 {
			l.deliver("charge.dispute.funds_reinstated", dp)
			move(dp["id"].(string), stripe.DisputeReversal, left, l.clock)
		}
	}
}

// shareTax gives what went back of a sale its share of the tax: in order of time, so that the
// shares add up.
func (l *life) shareTax(out []movement, when []time.Time, tax int64) {
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		back := func(i int) int { return cmp.Compare(out[i].amount, 0) } // what goes out before what comes back
		return cmp.Or(when[a].Compare(when[b]), back(a)-back(b), cmp.Compare(out[a].kind+out[a].object,
			out[b].kind+out[b].object))
	})
	var back int64
	for _, i := range order {
		before := back
		back -= out[i].amount
		out[i].tax = share(tax, before, l.amount) - share(tax, back, l.amount)
		l.move(out[i])
	}
}

// share of the tax that a part of the money carries, half to even.
func share(tax, part, whole int64) int64 {
	sign := int64(1)
	if part < 0 {
		sign, part = -1, -part
	}
	quotient, twice := tax*part/whole, 2*(tax*part%whole)
	if twice > whole || twice == whole && quotient%2 == 1 {
		quotient++
	}
	return sign * quotient
}

// unreadable sends a record that belongs to the dead letters.
func (t *traffic) unreadable() {
	at := t.upTo(span)
	n := t.id("bad")
	event := func(typ, body string) *kgo.Record {
		return schemas.StripeRecord(&schemas.StripeEvent{ID: "evt_" + n, Type: typ, Livemode: true,
			ReceivedAt: t.received(at), Body: []byte(body)}, n)
	}
	var r *kgo.Record
	var b bad
	switch t.rng.IntN(4) {
	case 0:
		r = clickRecord(&schemas.Click{Workspace: "default", ClickId: []byte(n),
			ReceivedAt: t.received(at).UnixMilli()})
		b = bad{topic: schemas.TopicClicks, step: "decode", reason: "unreadable"}
	case 1:
		r = event("charge.succeeded", fmt.Sprintf(`{"n":%q}`, n))
		b = bad{topic: schemas.TopicStripe, step: "facts", reason: "not_an_event"}
	case 2: // money without an amount
		r = event("charge.succeeded", fmt.Sprintf(
			`{"id":"evt_%s","object":"event","type":"charge.succeeded","created":%d,"data":{"object":{"id":"ch_%s","captured":true,"currency":"usd"}}}`, n, t.epoch.Unix(), n))
		b = bad{topic: schemas.TopicStripe, step: "facts", reason: "unknown_shape", kept: "evt_" + n}
	case 3: // ClickHouse cannot take its row
		r = event("product.created", fmt.Sprintf(
			`{"id":"evt_%s","object":"event","type":"product.created","created":%d,"data":{"object":{"id":"prod_%s","name":%q}}}`, n, t.epoch.Unix(), n, poison))
		b = bad{topic: schemas.TopicStripe, step: "load", reason: "rejected"}
	}
	t.bad[string(r.Value)] = b
	t.send(at, r)
}
