package clicks

import (
	"bytes"
	"strings"
	"unicode/utf8"

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
//   - A host with a user, or with bytes beyond ASCII (RFC 9112 §3.2).
//
// It also notes in h that the connection ends with this request if any of the Connection options
// says so (RFC 9112 §9.6). fasthttp knows "close" only in small letters, alone, and if no other
// such line follows.
func checkFraming(h *fasthttp.RequestHeader) *fault {
	length, encoding := false, false
	for raw := h.RawHeaders(); len(raw) > 0; {
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
		switch colon {
		case len("Host"):
			if bytes.EqualFold(line[:colon], []byte("Host")) && bytes.ContainsFunc(line[colon+1:], notOfHost) {
				return errFraming
			}
		case len("Connection"):
			if bytes.EqualFold(line[:colon], []byte("Connection")) && hasOption(line[colon+1:], "close") {
				h.SetConnectionClose()
			}
		case len("Content-Length"):
			length = length || bytes.EqualFold(line[:colon], []byte("Content-Length"))
		case len("Transfer-Encoding"):
			if bytes.EqualFold(line[:colon], []byte("Transfer-Encoding")) {
				if encoding || !bytes.EqualFold(bytes.Trim(line[colon+1:], " \t"), []byte("chunked")) {
					return errFraming
				}
				encoding = true
			}
		}
	}
	if encoding && (length || !h.IsHTTP11()) {
		return errFraming
	}
	return nil
}

// notOfHost reports whether c stands in no Host header, among what fasthttp lets through.
func notOfHost(c rune) bool { return c == '@' || c >= utf8.RuneSelf }

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
var tokenByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenByte[c] {
			return false
		}
	}
	return true
}

// checkTarget refuses request targets that RFC 9112 §3.2 does not know and fasthttp takes: one with
// a fragment, which a proxy may count to the path, an address of another scheme than HTTP's, one
// with a user, and one without a host.
func checkTarget(target []byte) *fault {
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
	host, _, _ := bytes.Cut(rest, []byte("/"))
	if len(host) == 0 || bytes.IndexByte(host, '@') >= 0 ||
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
