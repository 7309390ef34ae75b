package clicks

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// clean makes s valid UTF-8, which Protobuf and ClickHouse's functions expect. It copies only what
// is not. The scanner's strings need it not: it decodes to UTF-8.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// isUnicode reports whether all of a text that has been decoded could be read: U+FFFD stands for
// whatever could not.
func isUnicode(s string) bool { return !strings.Contains(s, "\uFFFD") }

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
		return hasHost(url[colon+1:])
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

// hasHost reports whether //authority/path names a host: a user or a port alone is none.
func hasHost(rest string) bool {
	if !strings.HasPrefix(rest, "//") {
		return false
	}
	rest = rest[2:]
	host, end := 0, 0
authority:
	for ; end < len(rest); end++ { // strings.IndexAny makes a set of its characters first
		switch rest[end] {
		case '/', '?', '#':
			break authority
		case '@':
			host = end + 1
		case ' ', '\\':
			return false
		}
	}
	return host < end && rest[host] != ':'
}

// b2s is b as a string without a copy. b must not change while the string is in use: here it
// belongs to the request or to the scanner, and the string ends before them, when the record is
// encoded.
func b2s(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// id returns an id without the space around it. One that is too long is none: see event.odd.
func (e *event) id(s string) string {
	if s = strings.TrimSpace(s); len(s) > maxID {
		e.doubt(errTooLong)
		return ""
	}
	return s
}

// page returns the address of a page. One that is too long loses the parameters that are too many,
// and shortens none: see event.odd.
func (e *event) page(s string) string {
	if s = strings.TrimSpace(s); len(s) > maxURL {
		if end := strings.LastIndexAny(s[:maxURL+1], "?&#"); end >= 0 {
			e.doubt(errTooLong)
			s = s[:end]
		}
	}
	return e.limit(s, maxURL)
}

// clickRef returns the click's id of a lead or a sale, "" if no click has it. It comes from a cookie
// that the buyer's browser keeps: what stands there costs nobody the lead or the money.
func clickRef(s string) string {
	if s = filled(strings.TrimSpace(s)); len(s) > maxID || !isUnicode(s) {
		return ""
	}
	return s
}

func (e *event) limit(s string, n int) string {
	if len(s) > n {
		e.fail(errTooLong)
		return ""
	}
	return s
}
