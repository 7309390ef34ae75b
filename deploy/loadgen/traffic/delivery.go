package traffic

import (
	"slices"
	"time"
)

// Delivery is one POST by Stripe to the webhook. Sign it when it is sent: Stripe signs each delivery afresh.
type Delivery struct {
	SendAt  time.Time
	EventID string
	Type    string
	Object  string    // id of data.object
	Created time.Time // of the event, whole seconds
	Body    []byte    // shared among copies: do not write into it
	Copy    int       // 0 for the first delivery of an event, 1 for the second…
}

// event adds an event about o to the bundle that s is telling.
func (s *buyer) event(kind string, created time.Time, o object, previous object) {
	e := object{
		"id": s.w.id("evt"), "object": "event", "api_version": s.api, "created": unix(created), "livemode": !s.w.opts.TestMode,
		"pending_webhooks": 1, "request": object{"id": nil, "idempotency_key": nil}, "type": kind,
	}
	data := object{"object": o}
	if previous != nil {
		data["previous_attributes"] = previous
	}
	e["data"] = data
	if s.w.opts.Account != "" {
		e["account"] = s.w.opts.Account
	}
	id, _ := o["id"].(string)
	s.bundle = append(s.bundle, Delivery{EventID: e["id"].(string), Type: kind, Object: id, Created: created.Truncate(time.Second), Body: pretty(e)})
}

// deliver sends the bundle off: mostly in order and at once, sometimes permuted, late or twice.
func (s *buyer) deliver() {
	w, at := s.w, make([]time.Time, len(s.bundle))
	for i, d := range s.bundle {
		at[i] = d.Created.Add(time.Second + time.Duration(i)*40*time.Millisecond + time.Duration(w.r.ExpFloat64()*float64(300*time.Millisecond)))
	}
	if w.chance(w.opts.Disorder) {
		w.r.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	}
	for i, d := range s.bundle {
		d.SendAt = at[i]
		if d.SendAt.Before(d.Created) {
			d.SendAt = d.Created // permuted, but not told before it happened
		}
		if w.chance(w.opts.Late) {
			d.SendAt = d.SendAt.Add(around(w.r, 2*w.opts.Tempo.Decide))
		}
		w.Deliveries = append(w.Deliveries, d)
		if w.chance(w.opts.Duplicates) {
			d.Copy, d.SendAt = 1, d.SendAt.Add(around(w.r, w.opts.Tempo.Decide/4))
			w.Deliveries = append(w.Deliveries, d)
		}
	}
	s.bundle = slices.Delete(s.bundle, 0, len(s.bundle))
}

// id makes an identifier of Stripe's form.
func (w *World) id(prefix string) string {
	switch prefix {
	case "cus", "sub", "prod":
		return prefix + "_" + w.token(14)
	case "cs":
		if w.opts.TestMode {
			return "cs_test_" + w.token(58)
		}
		return "cs_live_" + w.token(58)
	}
	return prefix + "_1" + w.token(23)
}
