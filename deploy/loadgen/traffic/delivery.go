package traffic

import (
	"crypto/sha256"
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Delivery is one POST by Stripe to the webhook. Sign it when it is sent: Stripe signs each
// delivery afresh.
type Delivery struct {
	SendAt     time.Time
	EventID    string
	Type       string
	Object     string    // id of data.object
	Created    time.Time // of the event, whole seconds
	APIVersion string    // of the body
	Body       []byte    // shared among copies: do not write into it
	Copy       int       // 0 for the first delivery of an event, 1 for the second…
	// Thin is the thin event by which Stripe announces this one, where the endpoint wants thin
	// events; nil: it wants snapshots. Twice: another endpoint of the same account gets the
	// snapshot beside it.
	Thin  []byte
	Twice bool
}

// event adds an event about o to the bundle that s is making.
func (s *buyer) event(kind string, created time.Time, o object, previous object) {
	id, _ := o["id"].(string)
	s.bundle = append(s.bundle, s.w.event(s.api, kind, id, created, o, previous))
}

// event writes an event. Its id is a hash of what it is about: nothing is drawn, and the same story
// has the same ids in every API version, though not the same number of events.
func (w *World) event(api version, kind, about string, created time.Time, o object, previous object) Delivery {
	w.eventCount[kind+about]++
	id := "evt_1" + w.hashed(23, kind, about, strconv.Itoa(w.eventCount[kind+about]))
	e := object{
		"id": id, "object": "event", "api_version": string(api), "created": unix(created), "livemode": !w.opts.TestMode,
		"pending_webhooks": 1, "request": object{"id": nil, "idempotency_key": nil}, "type": kind,
	}
	data := object{"object": o}
	if previous != nil {
		data["previous_attributes"] = previous
	}
	e["data"] = data
	if w.opts.Account != "" {
		e["account"] = w.opts.Account
	}
	return Delivery{EventID: id, Type: kind, Object: about, Created: created.Truncate(time.Second),
		APIVersion: string(api), Body: pretty(e)}
}

// patience is how long Stripe tries to deliver an event.
// https://docs.stripe.com/webhooks#automatic-retries
const patience = 3 * 24 * time.Hour

// deliver sends the bundle off: mostly in order and at once, sometimes permuted, late or twice.
// What becomes of an event is drawn from its id, so that an event that only some API versions have
// moves no other.
func (s *buyer) deliver() {
	w := s.w
	disorder := w.chance(w.opts.Disorder)
	for i, d := range s.bundle {
		r := w.fate(d.EventID)
		d.SendAt = d.Created.Add(time.Second + time.Duration(i)*40*time.Millisecond +
			time.Duration(r.ExpFloat64()*float64(300*time.Millisecond)))
		if disorder {
			d.SendAt = d.Created.Add(time.Duration(r.Int64N(int64(8 * time.Second))))
		}
		if r.Float64() < w.opts.Late {
			d.SendAt = d.SendAt.Add(min(around(r, 2*w.opts.Tempo.Decide), patience))
		}
		twice := r.Float64() < w.opts.Duplicates
		if w.opts.Thin > 0 && r.Float64() < w.opts.Thin {
			d.Thin, d.Twice = s.thin(d), r.Float64() < .3
		}
		w.Deliveries = append(w.Deliveries, d)
		if twice {
			d.Copy, d.SendAt = 1, d.SendAt.Add(min(around(r, w.opts.Tempo.Decide/4), patience))
			w.Deliveries = append(w.Deliveries, d)
		}
	}
	s.bundle = slices.Delete(s.bundle, 0, len(s.bundle))
}

// thin writes the thin event that announces an event.
// https://docs.stripe.com/event-destinations#thin-events
func (s *buyer) thin(d Delivery) []byte {
	var o struct {
		Data struct{ Object struct{ Object string } }
	}
	_ = json.Unmarshal(d.Body, &o) // of our own making
	kind := o.Data.Object.Object
	return pretty(object{
		"id": "evt_65" + s.w.hashed(22, "thin", d.EventID), "object": "v2.core.event", "type": "v1." + d.Type,
		"created": d.Created.UTC().Format("2006-01-02T15:04:05.000Z"), "livemode": s.livemode(), "reason": nil,
		"context": orNull(s.w.opts.Account), "snapshot_event": d.EventID,
		"related_object": object{"id": d.Object, "type": kind, "url": "/v1/" + kind + "s/" + d.Object},
	})
}

// fate is the source of what becomes of one event.
func (w *World) fate(eventID string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(eventID))
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// hashed returns the n characters of an id, a hash of what it names.
func (w *World) hashed(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strconv.FormatUint(w.seed, 36) + w.opts.Start.String() + strings.Join(parts, "\x00")))
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[int(sum[i])%len(alphabet)]
	}
	return string(b)
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
