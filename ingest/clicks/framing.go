package clicks

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// checkFraming refuses requests that another reader in front of the edge, a proxy, may have cut
// differently, so that a part of one would be taken for a second request (RFC 9112 §11.2). fasthttp
// is more lenient in each of these points; the raw headers still show them:
//
//   - Content-Length together with Transfer-Encoding. fasthttp lets the latter win and hides the
//     former.
//   - A line that ends in LF without CR. fasthttp waits for an empty line with CR, but then ends
//     the headers at the first empty line of any kind: "X: y\n\nPOST …" in a header's value was
//     executed as a request.
//   - A name that is no token (RFC 9110 §5.6.2), such as one with a space, and a line that
//     continues another (obs-fold).
//   - A CR within a line.
//   - Transfer-Encoding in HTTP/1.0, which proxies of that version pass on without reading it.
//   - Any Transfer-Encoding but one chunked, alone. fasthttp takes "identity" for no body, others
//     may take it for a body that lasts until the connection ends.
//   - A host that is none: see isAuthority (RFC 9112 §3.2).
//   - Two Authorization lines, of which a proxy may have judged the other one (RFC 9110 §5.3).
//
// It also notes in h that the connection ends with this request if any of the Connection options
// says so (RFC 9112 §9.6). fasthttp knows "close" only in small letters, alone, and if no other
// such line follows.
//
// More than maxHeaders lines are refused as well: each header that the edge asks for is looked for
// among all of them.
func checkFraming(h *fasthttp.RequestHeader) *fault {
	var seen framing
	lines := 0
	for raw := h.RawHeaders(); len(raw) > 0; lines++ {
		if lines > maxHeaders {
			return errHeaderSize
		}
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return errFraming
		}
		var line []byte
		line, raw = raw[:end-1], raw[end+1:]
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || !isToken(line[:colon]) || bytes.IndexByte(line, '\r') >= 0 {
			return errFraming
		}
		if f := seen.header(h, line[:colon], line[colon+1:]); f != nil {
			return f
		}
	}
	if seen.encoding && (seen.length || !h.IsHTTP11()) {
		return errFraming
	}
	return nil
}

// framing is which headers of a request have been read.
type framing struct {
	length, encoding, key bool // Content-Length, Transfer-Encoding, Authorization
}

// header judges one header by those before it. The length of the name comes first: it costs
// nothing, and leaves few names to compare.
func (seen *framing) header(h *fasthttp.RequestHeader, name, value []byte) *fault {
	switch len(name) {
	case len("Host"):
		if bytes.EqualFold(name, []byte("Host")) && !isAuthority(bytes.Trim(value, " \t")) {
			return errFraming
		}
	case len("Connection"):
		if bytes.EqualFold(name, []byte("Connection")) && hasOption(value, "close") {
			h.SetConnectionClose()
		}
	case len("Authorization"):
		if bytes.EqualFold(name, []byte("Authorization")) {
			if seen.key {
				return errBadRequest
			}
			seen.key = true
		}
	case len("Content-Length"):
		seen.length = seen.length || bytes.EqualFold(name, []byte("Content-Length"))
	case len("Transfer-Encoding"):
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			if seen.encoding || !bytes.EqualFold(bytes.Trim(value, " \t"), []byte("chunked")) {
				return errFraming
			}
			seen.encoding = true
		}
	}
	return nil
}

// maxHeaders is several times what browsers and a row of proxies send.
const maxHeaders = 200

// maxParameters is several times what there are names for.
const maxParameters = 100

// isAuthority reports whether b can be a host with or without a port, among what fasthttp lets
// through. A user is none (RFC 9110 §4.2.4), an empty host neither (§4.2.1), nor a list, of which
// one reader takes the first element and another the last.
func isAuthority(b []byte) bool {
	for _, c := range b {
		if !hostByte[c] {
			return false
		}
	}
	return len(b) > 0 && b[0] != ':'
}

// hostByte holds the characters of a host and its port (RFC 3986 §3.2.2, §3.2.3), but for the
// comma.
var hostByte = alphanumericAnd("-._~%!$&'()*+;=:[]")

// hasOption reports whether the list of a Connection header holds the option (RFC 9110 §7.6.1).
func hasOption(list []byte, option string) bool {
	for element := range bytes.SplitSeq(list, []byte(",")) {
		if strings.EqualFold(b2s(bytes.Trim(element, " \t")), option) {
			return true
		}
	}
	return false
}

// tokenByte holds the characters of a token, RFC 9110 §5.6.2.
var tokenByte = alphanumericAnd("!#$%&'*+-.^_`|~")

// alphanumericAnd is the set of the letters and digits of ASCII and of what others holds.
func alphanumericAnd(others string) (set [256]bool) {
	for c := range set {
		set[c] = isAlphanumeric(byte(c)) || strings.IndexByte(others, byte(c)) >= 0
	}
	return set
}

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenByte[c] {
			return false
		}
	}
	return true
}

// checkTarget refuses request targets that RFC 9112 §3.2 does not know and fasthttp takes: one with
// a fragment, which a proxy may count to the path, an address of another scheme than HTTP's, and
// one whose host is none. More than maxParameters are refused before fasthttp takes a hundred bytes
// for each of them, and keeps those with the connection.
func checkTarget(target []byte) *fault {
	if bytes.Count(target, []byte{'&'}) >= maxParameters {
		return errHeaderSize
	}
	if bytes.IndexByte(target, '#') >= 0 {
		return errBadRequest
	}
	if target[0] == '/' { // it is not empty
		return nil
	}
	scheme, rest, absolute := bytes.Cut(target, []byte("://"))
	if !absolute {
		return nil
	}
	if end := bytes.IndexAny(rest, "/?"); end >= 0 {
		rest = rest[:end]
	}
	if !isAuthority(rest) ||
		!bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
		return errBadRequest
	}
	return nil
}

// checkVersion refuses what is neither HTTP/1.1 nor HTTP/1.0.
func checkVersion(h *fasthttp.RequestHeader) *fault {
	switch string(h.Protocol()) {
	case "HTTP/1.1", "HTTP/1.0":
		return nil
	}
	return errBadRequest
}
