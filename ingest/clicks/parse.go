package clicks

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// Limits of fields, in bytes. What the site chose itself is refused beyond them, since a shortened
// id or address would be another one; what the browser chose (referrer, agent) is cut.
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
}

func newEvent() *event { return new(event) }

func (e *event) reset() {
	e.click = schemas.Click{} // Reset also notes its type, for reflection, which nothing here uses
	e.props = e.props[:0]
	e.key, e.clickID, e.ip, e.domain, e.linkKey, e.deepLink = "", "", "", "", "", ""
	e.at, e.timed, e.script, e.track, e.unknown, e.fault = 0, false, false, false, 0, nil
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
		if e.set(name, "", false) {
			e.fail(errBadField)
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
			e.key = e.id(value)
		}
	case "domain":
		e.domain = e.id(value)
	case "deepLink":
		e.deepLink = e.limit(strings.TrimSpace(value), maxURL)
	case "click_id":
		e.clickID = e.id(value)
	case "program_id":
		c.ProgramId = e.id(value)
	case "affiliate_id":
		c.AffiliateId = e.id(value)
	case "link_id":
		c.LinkId = e.id(value)
	case "visitor_id":
		c.VisitorId = e.id(value)
	case "url":
		c.Url = e.limit(strings.TrimSpace(value), maxURL)
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

// Bounds of event_time as a number. A number of seconds stays below the lower one until the year
// 5138, one of microseconds is above the upper one since 1973. Read as milliseconds, such numbers
// would silently move a click to another day.
const (
	millisecondsFrom = 100_000_000_000     // 1973-03-03
	millisecondsTo   = 100_000_000_000_000 // 5138-11-16
)

func (e *event) setTime(value string, number bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return
	}
	if e.at, e.timed = parseTime(value, number); !e.timed {
		e.fail(errBadTime)
	}
}

// parseTime reads RFC 3339 or Unix milliseconds, and returns Unix milliseconds. A fraction of a
// millisecond is dropped: performance.timeOrigin has one.
func parseTime(value string, number bool) (ms int64, ok bool) {
	whole, fraction, hasFraction := strings.Cut(value, ".")
	if ms, err := strconv.ParseInt(whole, 10, 64); err == nil && (!hasFraction || number && isDigits(fraction)) {
		return ms, ms >= millisecondsFrom && ms <= millisecondsTo
	}
	if number && strings.ContainsAny(value, "eE") && !strings.ContainsAny(value, "xX_") { // 1.7952e+12
		if ms, err := strconv.ParseFloat(value, 64); err == nil && ms >= millisecondsFrom && ms <= millisecondsTo {
			return int64(ms), true
		}
	}
	t, ok := parseRFC3339(value)
	return t.UnixMilli(), ok
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return s != ""
}

// parseRFC3339 reads a date-time of RFC 3339 §5.6: T and Z in either case, or a space for the T.
// time.Parse alone takes more than that (a comma in the seconds, an hour of one digit, an offset of
// 24 hours).
func parseRFC3339(s string) (time.Time, bool) {
	const shape = "0000-00-00T00:00:00"
	if len(s) <= len(shape) || len(s) > len(shape)+len(".000000000+00:00") {
		return time.Time{}, false
	}
	b := make([]byte, 0, 48) // stays on the stack
	b = append(b, s...)
	for i := range len(shape) {
		switch {
		case shape[i] == 'T' && (b[i] == 't' || b[i] == ' '):
			b[i] = 'T'
		case shape[i] == '0' && b[i]-'0' > 9, shape[i] != '0' && b[i] != shape[i]:
			return time.Time{}, false
		}
	}
	if b[len(shape)] == ',' {
		return time.Time{}, false
	}
	if last := len(b) - 1; b[last] == 'z' {
		b[last] = 'Z'
	} else if b[last] != 'Z' && string(b[last-4:last-2]) > "23" {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, b2s(b))
	return t, err == nil
}

func (e *event) fail(f *fault) {
	if e.fault == nil {
		e.fault = f
	}
}

func (e *event) id(s string) string { return e.limit(strings.TrimSpace(s), maxID) }

func (e *event) limit(s string, n int) string {
	if len(s) > n {
		e.fail(errTooLong)
		return ""
	}
	return s
}

// clean makes s valid UTF-8, which Protobuf and ClickHouse's functions expect. It copies only what
// is not. The scanner's strings need it not: it decodes to UTF-8.
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
	return s
}

// validURL accepts absolute http and https addresses with a host, and addresses of the given
// schemes. It is no parser: what matters here is that the address cannot be script (javascript:,
// data:) and holds no control characters.
func validURL(url string, schemes []string) bool {
	if hasControl(url) {
		return false
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

// hasControl reports whether s holds one of the ASCII control characters. It looks at eight bytes
// at a time, as plainLength does.
func hasControl(s string) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		del := x ^ each*0x7f
		if ((x-each*' ')&^x|(del-each)&^del)&high != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
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
	for i := range len(rest) { // strings.IndexAny makes a set of its characters first
		switch rest[i] {
		case '/', '?', '#':
			return i
		case ' ', '\\':
			return 0
		}
	}
	return len(rest)
}

// b2s is b as a string without a copy. b must not change while the string is in use: here it
// belongs to the request or to the scanner, and the string ends before them, when the record is
// encoded.
func b2s(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
