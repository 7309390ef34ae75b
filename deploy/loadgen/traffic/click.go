package traffic

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"time"

	"tributary/schemas"
)

// Click is one event of POST /v1/clicks, with the fields that only a caller with the secret key may
// set.
type Click struct {
	Key       string          // publishable key, where the edge wants one
	SendAt    time.Time       // when it is sent: normally EventTime, later for a beacon that was held up
	ID        schemas.ClickID // carries EventTime
	EventTime time.Time
	Link      Link
	URL       string
	Referrer  string
	Visitor   string
	UserAgent string
	Country   string // ISO 3166-1 alpha-2
	Consent   string // empty, granted or denied
	Bot       bool
}

// MarshalJSON writes the body that the edge expects.
func (c Click) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Key       string `json:"key,omitempty"`
		ClickID   string `json:"click_id"`
		ProgramID string `json:"program_id,omitempty"`
		Affiliate string `json:"affiliate_id,omitempty"`
		LinkID    string `json:"link_id,omitempty"`
		URL       string `json:"url"`
		Referrer  string `json:"referrer,omitempty"`
		Visitor   string `json:"visitor_id,omitempty"`
		EventTime string `json:"event_time"`
		Trigger   string `json:"trigger,omitempty"`
		Consent   string `json:"consent,omitempty"`
		UserAgent string `json:"user_agent"`
		Country   string `json:"country,omitempty"`
	}{
		c.Key, c.ID.String(), c.Link.Program, c.Link.Affiliate, c.Link.ID, c.URL, c.Referrer, c.Visitor,
		c.EventTime.Format("2006-01-02T15:04:05.000Z07:00"), c.Link.Trigger, c.Consent, c.UserAgent, c.Country,
	})
}

type visitor struct {
	id, agent, consent string
	country            country
}

// clicks fills the span, and lets some clickers sign up or buy.
func (w *World) clicks() {
	var known []visitor
	for range w.opts.Clicks {
		at := w.drawTime()
		v := w.visitor()
		if len(known) > 0 && w.chance(.25) { // people come back, often by another link
			v = pick(w, known)
		} else {
			known = append(known, v)
		}
		c := w.click(at, v)
		if c.Bot {
			w.Clicks = append(w.Clicks, c)
			continue
		}
		switch x := w.r.Float64(); {
		case x < w.opts.Buyers:
			w.buyer(&c, v)
		case x < w.opts.Buyers+w.opts.Leads:
			p := w.person(v)
			w.lead(c, p, c.EventTime.Add(around(w.r, w.opts.Tempo.Decide/2)))
		}
		w.Clicks = append(w.Clicks, c)
		if w.opts.Hostile > 0 && w.chance(w.opts.Hostile) {
			w.Clicks = append(w.Clicks, w.stolen(c))
		}
	}
}

// drawTime draws a time of the span, busy hours more often.
func (w *World) drawTime() time.Time {
	for {
		at := w.opts.Start.Add(time.Duration(w.r.Int64N(int64(w.opts.Span))))
		// Within one hour all times are equally likely.
		if w.opts.Span <= time.Hour || w.r.Float64() < Busyness(at) {
			return at.Truncate(time.Millisecond)
		}
	}
}

func (w *World) visitor() visitor {
	v := visitor{agent: agents[agentShares.draw(w.r)].ua, country: countries[countryShares.draw(w.r)]}
	v.id = "v_" + w.hex(8)
	if w.chance(.7) {
		v.consent = "granted"
	}
	return v
}

func (w *World) click(at time.Time, v visitor) Click {
	return w.clickBy(Links[linkShares.draw(w.r)], at, v)
}

func (w *World) clickBy(l Link, at time.Time, v visitor) Click {
	c := Click{SendAt: at, EventTime: at, ID: w.clickID(at), Link: l, Referrer: l.Referrer, Visitor: v.id,
		UserAgent: v.agent, Country: v.country.code, Consent: v.consent}
	q := url.Values{}
	if l.Source != "" {
		q.Set("utm_source", l.Source)
		q.Set("utm_medium", l.Medium)
		q.Set("utm_campaign", l.Campaign)
	}
	if l.AdParam != "" {
		q.Set(l.AdParam, w.token(24))
	}
	c.URL = l.Page
	if len(q) > 0 {
		c.URL += "?" + q.Encode()
	}
	if w.chance(w.opts.Bots) {
		c.Bot, c.UserAgent, c.Visitor, c.Consent = true, pick(w, crawlers), "", ""
	}
	return c
}

// hostileAffiliate is whom strangers send clicks for.
const hostileAffiliate = "aff_mallory"

// stolen is the click of a stranger who saw another's click id, which stands in a URL, and sends it
// for an affiliate of their own. The first click received under an id stays.
func (w *World) stolen(c Click) Click {
	c.Link = Link{ID: "lnk_mallory", Program: c.Link.Program, Affiliate: hostileAffiliate,
		Page: c.Link.Page, Trigger: "link"}
	c.SendAt = c.SendAt.Add(time.Second + around(w.r, w.opts.Tempo.Decide/2))
	c.Visitor, c.Consent = "v_"+w.hex(8), ""
	return c
}

// clickID makes a UUIDv7 whose random part comes from the seed.
func (w *World) clickID(at time.Time) schemas.ClickID {
	id := schemas.NewClickID(at)
	v := w.r.Uint64()
	id[6] = 0x70 | byte(v>>56)&0x0f
	id[7] = byte(v >> 48)
	binary.BigEndian.PutUint64(id[8:], w.r.Uint64())
	id[8] = id[8]&0x3f | 0x80
	return id
}

func (w *World) hex(bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(w.r.Uint32())
	}
	return hex.EncodeToString(b)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func (w *World) token(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[w.r.IntN(len(alphabet))]
	}
	return string(b)
}
