package clicks

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"tributary/schemas"
)

// Limits of fields, in bytes. What the site chose itself is refused beyond them, since a shortened id or address would be
// another one; what the browser chose (referrer, agent) is cut.
const (
	maxURL        = 8192
	maxID         = 200 // also the limit of Stripe's client_reference_id
	maxReferrer   = 4096
	maxAgent      = 1024
	maxPlace      = 100
	maxProperties = 16
	maxProperty   = 500
	maxName       = 100
)

// event is one beacon while it is read. Its strings share memory with the parser or the request and are good until the
// record is encoded.
type event struct {
	click   schemas.Click
	props   map[string]string // the click's Properties, kept between events
	key     string            // publishable key
	clickID string            // as given
	ip      string            // as given; only a secret key's holder may
	domain  string            // of a link, as Dub's and PiMMs' scripts name it
	linkKey string
	at      int64 // event_time, Unix milliseconds
	timed   bool  // at was given
	seconds bool  // at was given as a number too small for milliseconds since 1973
	track   bool  // "key" is a link's key, not a publishable one
	unknown int   // fields without a meaning here
	fault   *fault

	scratch       []byte // numbers as text
	visit         func([]byte, *fastjson.Value)
	visitProperty func([]byte, *fastjson.Value)
}

func newEvent() *event {
	e := new(event)
	e.visit, e.visitProperty = e.field, e.property // bound once: a method value per call would be garbage per call
	return e
}

func (e *event) reset() {
	e.click.Reset()
	clear(e.props)
	e.key, e.clickID, e.ip, e.domain, e.linkKey = "", "", "", "", ""
	e.at, e.timed, e.seconds, e.track, e.unknown, e.fault = 0, false, false, false, 0, nil
	e.scratch = e.scratch[:0]
}

// parseJSON reads one event. Unknown fields are counted, not refused: a newer script may send them.
func (e *event) parseJSON(v *fastjson.Value) *fault {
	o, err := v.Object()
	if err != nil {
		return errBadJSON
	}
	o.Visit(e.visit)
	return e.fault
}

func (e *event) field(key []byte, v *fastjson.Value) {
	name := b2s(key)
	switch v.Type() {
	case fastjson.TypeString:
		e.set(name, b2s(v.GetStringBytes()), false)
	case fastjson.TypeNumber:
		e.set(name, e.text(v), true)
	case fastjson.TypeNull:
	case fastjson.TypeObject:
		if name == "properties" {
			v.GetObject().Visit(e.visitProperty)
			return
		}
		fallthrough
	default:
		if e.set(name, "", false) {
			e.fail(errBadField)
		}
	}
}

// text renders a number, true or false as it stands in JSON.
func (e *event) text(v *fastjson.Value) string {
	n := len(e.scratch)
	e.scratch = v.MarshalTo(e.scratch)
	return b2s(e.scratch[n:])
}

// parseQuery reads the same fields from query parameters; properties is an object in JSON.
func (e *event) parseQuery(args *fasthttp.Args, parser *fastjson.Parser) *fault {
	for k, v := range args.All() {
		name, value := b2s(k), b2s(v)
		if name != "properties" {
			e.set(name, value, true)
			continue
		}
		if value == "" {
			continue
		}
		o, err := parser.Parse(value)
		if err != nil || o.Type() != fastjson.TypeObject {
			e.fail(errBadProperties)
			continue
		}
		o.GetObject().Visit(e.visitProperty)
	}
	return e.fault
}

// set takes one field and tells whether it has a meaning. number says that the text may be a number of milliseconds.
func (e *event) set(name, value string, number bool) bool {
	c := &e.click
	switch name {
	case "key":
		if e.track {
			e.linkKey = e.limit(value, maxURL)
		} else {
			e.key = e.limit(value, maxID)
		}
	case "domain":
		e.domain = e.limit(value, maxID)
	case "click_id":
		e.clickID = e.limit(value, maxID)
	case "program_id":
		c.ProgramId = e.limit(value, maxID)
	case "affiliate_id":
		c.AffiliateId = e.limit(value, maxID)
	case "link_id":
		c.LinkId = e.limit(value, maxID)
	case "visitor_id":
		c.VisitorId = e.limit(value, maxID)
	case "url":
		c.Url = e.limit(value, maxURL)
	case "referrer":
		c.Referrer = cut(value, maxReferrer)
	case "event_time":
		e.setTime(value, number)
	case "trigger":
		switch value {
		case "", "link", "pageview", "qr", "deeplink", "form":
			c.Trigger = value
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

func (e *event) property(key []byte, v *fastjson.Value) {
	value := ""
	switch v.Type() {
	case fastjson.TypeString:
		value = b2s(v.GetStringBytes())
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		value = e.text(v)
	case fastjson.TypeNull:
		return
	default:
		e.fail(errBadProperties)
		return
	}
	name := b2s(key)
	if len(name) > maxName || len(value) > maxProperty {
		e.fail(errTooLong)
		return
	}
	if e.props == nil {
		e.props = make(map[string]string, maxProperties)
	}
	e.props[clean(name)] = clean(value)
	if len(e.props) > maxProperties {
		e.fail(errBadProperties)
	}
}

// setTime reads RFC 3339 or Unix milliseconds.
func (e *event) setTime(value string, number bool) {
	if value == "" {
		return
	}
	if ms, err := strconv.ParseInt(value, 10, 64); err == nil {
		e.at, e.timed, e.seconds = ms, true, ms < secondsBelow && ms > -secondsBelow
		return
	}
	if number {
		if ms, err := strconv.ParseFloat(value, 64); err == nil && ms > -1e15 && ms < 1e15 { // performance.timeOrigin has fractions
			e.at, e.timed, e.seconds = int64(ms), true, ms < secondsBelow && ms > -secondsBelow
			return
		}
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		e.fail(errBadTime)
		return
	}
	e.at, e.timed = t.UnixMilli(), true
}

// secondsBelow: as milliseconds it is March 1973, as seconds the year 5138.
const secondsBelow = 100_000_000_000

func (e *event) fail(f *fault) {
	if e.fault == nil {
		e.fault = f
	}
}

func (e *event) limit(s string, n int) string {
	if len(s) > n {
		e.fail(errTooLong)
		return ""
	}
	return clean(s)
}

// clean makes s valid UTF-8, which Protobuf and ClickHouse's functions expect. It copies only what is not.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// cut shortens s to n bytes without tearing a character.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return clean(s)
}

// validURL accepts absolute http and https addresses with a host, and addresses of the given schemes. It is no parser:
// what matters here is that the address cannot be script (javascript:, data:) and holds no control characters.
func validURL(url string, schemes []string) bool {
	for i := 0; i < len(url); i++ {
		if url[i] < ' ' || url[i] == 0x7f {
			return false
		}
	}
	colon := strings.IndexByte(url, ':')
	if colon <= 0 {
		return false
	}
	scheme := url[:colon]
	if strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http") {
		return hostLength(url[colon+1:]) > 0
	}
	for _, s := range schemes {
		if strings.EqualFold(scheme, s) {
			return true
		}
	}
	return false
}

// hostLength is the length of the authority in //authority/path.
func hostLength(rest string) int {
	if !strings.HasPrefix(rest, "//") {
		return 0
	}
	rest = rest[2:]
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if strings.ContainsAny(rest, " \\") {
		return 0
	}
	return len(rest)
}

// b2s is b as a string without a copy. b must not change while the string is in use: here it belongs to the request or to
// a parser, and the string ends before them, when the record is encoded.
func b2s(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
