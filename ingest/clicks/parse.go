package clicks

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// Limits of fields, in bytes. What the browser chose (referrer, agent) is cut beyond them. A
// shortened id would be another one: a visitor's click is kept without an id that a cookie or an
// address may hold, and refused otherwise, as a backend's is.
const (
	maxURL        = 8192
	maxID         = 200 // also the limit of Stripe's client_reference_id
	maxReferrer   = 4096
	maxAgent      = 1024
	maxHint       = 256
	maxPlace      = 100
	maxProperties = 16
	maxProperty   = 500
	maxName       = 100
)

// event is one beacon while it is read. Its strings share memory with the scanner or the request
// and are good until the record is encoded.
type event struct {
	click    schemas.Click
	props    []schemas.Property // the click's, with different names
	hash     [8]byte            // the memory of the click's IdentityHash
	key      string             // publishable key
	clickID  string             // as given
	ip       string             // as given; only a secret key's holder may
	domain   string             // of a link, as Dub's and PiMMs' scripts name it
	linkKey  string
	deepLink string // that opened an app, as Dub's SDKs for phones name it
	at       int64  // event_time, Unix milliseconds
	timed    bool   // at was given
	script   bool   // trigger was given and is empty: /t.js, which reads the address itself, as the site tells it
	track    bool   // "key" is a link's key, not a publishable one
	unknown  int    // fields without a meaning here
	fault    *fault

	// odd is what is wrong with a field that a browser may have filled in, of a stale cookie or of
	// the page's address. A visitor's click is kept without that field; a backend is told.
	odd *fault
}

func newEvent() *event { return new(event) }

func (e *event) reset() {
	e.click = schemas.Click{} // Reset also notes its type, for reflection, which nothing here uses
	e.props = e.props[:0]
	e.key, e.clickID, e.ip, e.domain, e.linkKey, e.deepLink = "", "", "", "", "", ""
	e.at, e.timed, e.script, e.track, e.unknown, e.fault, e.odd = 0, false, false, false, 0, nil, nil
}

// parseJSON reads one event, the whole of body. Unknown fields are counted, not refused: a newer
// script may send them.
func (e *event) parseJSON(j *scanner, body []byte) *fault {
	j.reset(withoutBOM(body))
	if j.space() != '{' {
		return errBadJSON
	}
	if f := e.parse(j); f != nil || !j.end() {
		return errBadJSON
	}
	return e.fault
}

// withoutBOM drops the byte order mark that some programs write before UTF-8. RFC 8259 §8.1 lets a
// reader ignore it.
func withoutBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\ufeff")) }

// parse reads the next value of j into e, and what is wrong with its fields into e.fault. It
// returns a fault only if j holds no JSON there, so that nothing behind it can be read either.
func (e *event) parse(j *scanner) *fault {
	if j.space() != '{' {
		e.fail(errBadJSON) // a number, say
		if _, err := j.value(); err != nil {
			return errBadJSON
		}
		return nil
	}
	j.open('{')
	for first := true; ; first = false {
		more, err := j.more('}', first)
		if err != nil {
			return errBadJSON
		}
		if !more {
			return nil
		}
		name, err := j.name()
		if err != nil {
			return errBadJSON
		}
		if name == "properties" && j.space() == '{' {
			err = e.properties(j)
		} else {
			var v value
			v, err = j.value()
			e.field(name, v)
		}
		if err != nil {
			return errBadJSON
		}
	}
}

func (e *event) field(name string, v value) {
	switch v.kind {
	case kindString:
		e.set(name, v.text, false)
	case kindNumber:
		e.set(name, plainNumber(v.text), true)
	case kindNull:
	default:
		switch name {
		case "click_id", "affiliate_id", "visitor_id", "referrer": // cookie || false
			e.doubt(errBadField)
		default:
			if e.set(name, "", false) {
				e.fail(errBadField)
			}
		}
	}
}

// properties reads the object that j stands before. It returns an error only if that is not JSON.
func (e *event) properties(j *scanner) error {
	j.open('{')
	for first := true; ; first = false {
		more, err := j.more('}', first)
		if err != nil || !more {
			return err
		}
		name, err := j.name()
		if err != nil {
			return err
		}
		v, err := j.value()
		if err != nil {
			return err
		}
		if e.fault == nil { // a thousand more would cost without changing the answer
			e.property(name, v)
		}
	}
}

// parseQuery reads the same fields from query parameters; properties is an object in JSON.
func (e *event) parseQuery(j *scanner, args *fasthttp.Args) *fault {
	j.reset(nil)
	for k, v := range args.All() {
		name, value := b2s(k), clean(b2s(v))
		if n := len(value) - len("+02:00"); name == "event_time" && n > len("2026-11-20") && value[n] == ' ' {
			value = value[:n] + "+" + value[n+1:] // a plus sign that nobody has encoded is a space
		}
		if name != "properties" {
			e.set(name, value, true)
			continue
		}
		if value == "" {
			continue
		}
		j.data, j.pos = v, 0 // and the text of other properties stays
		if j.space() != '{' || e.properties(j) != nil || !j.end() {
			e.fail(errBadProperties)
		}
	}
	return e.fault
}

// set takes one field and reports whether it has a meaning. number says that the text may be a
// number of milliseconds. Space around ids and keys is dropped: Stripe's side drops it too, and "
// anna" must meet "anna".
func (e *event) set(name, value string, number bool) bool {
	c := &e.click
	switch name {
	case "key":
		if e.track {
			e.linkKey = e.limit(strings.TrimSpace(value), maxURL)
		} else {
			e.key = e.limit(strings.TrimSpace(value), maxID)
		}
	case "domain":
		e.domain = e.limit(strings.TrimSpace(value), maxID)
	case "deepLink":
		e.deepLink = e.limit(strings.TrimSpace(value), maxURL)
	case "click_id":
		e.clickID = e.id(value)
	case "program_id":
		c.ProgramId = e.limit(strings.TrimSpace(value), maxID)
	case "affiliate_id":
		c.AffiliateId = e.id(value)
	case "link_id":
		c.LinkId = e.limit(strings.TrimSpace(value), maxID)
	case "visitor_id":
		c.VisitorId = e.id(value)
	case "url":
		c.Url = e.page(value)
	case "referrer":
		c.Referrer = cut(value, maxReferrer)
	case "event_time":
		e.setTime(value, number)
	case "trigger":
		switch value {
		case "", "link", "pageview", "qr", "deeplink", "form":
			c.Trigger, e.script = value, value == ""
		default:
			e.fail(errBadTrigger)
		}
	case "consent":
		switch value {
		case "", "granted", "denied":
			c.Consent = value
		default:
			e.fail(errBadConsent)
		}
	case "user_agent":
		c.UserAgent = cut(value, maxAgent)
	case "ip":
		e.ip = value
	case "country":
		c.Country = value
	case "region":
		c.Region = cut(value, maxPlace)
	case "city":
		c.City = cut(value, maxPlace)
	case "properties":
		if value != "" {
			e.fail(errBadProperties)
		}
	default:
		e.unknown++
		return false
	}
	return true
}

func (e *event) property(name string, v value) {
	switch v.kind {
	case kindString, kindNumber, kindBool:
	case kindNull:
		return
	default:
		e.fail(errBadProperties)
		return
	}
	value := v.text
	if len(name) > maxName || len(value) > maxProperty {
		e.fail(errTooLong)
		return
	}
	for i := range e.props {
		if e.props[i].Name == name { // the last one counts, as in encoding/json
			e.props[i].Value = value
			return
		}
	}
	if len(e.props) == maxProperties {
		e.fail(errBadProperties)
		return
	}
	e.props = append(e.props, schemas.Property{Name: name, Value: value})
}

func (e *event) fail(f *fault) {
	if e.fault == nil {
		e.fault = f
	}
}

func (e *event) doubt(f *fault) {
	if e.odd == nil {
		e.odd = f
	}
}
