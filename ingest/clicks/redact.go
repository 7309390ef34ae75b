package clicks

import "strings"

// Addresses are stored without what opens somebody's account: people land on pages whose addresses
// carry password reset links, session tokens and their own e-mail address, and clicks are read by
// many. redactURL drops
//
//   - user:password@ before the host,
//   - every segment of the path that is an e-mail address or a signed token ("-" stands in its place),
//   - every parameter of query and fragment whose name says that its value is a secret or
//     personal (secretName), and
//   - every parameter whose value is an e-mail address or a signed token, whatever its name.
//
// Everything else stays as it is, since analysts need it: campaign parameters, click ids of
// advertising networks, via and ref, a shop's own product and page numbers. A workspace may list
// the parameters that it wants to be stored instead (schemas.Workspace, query_parameters); then all
// others are dropped, and of the listed ones those that hold a secret.

// exactSecrets are names of parameters that hold secrets or personal data, in lower case, without
// '-' and '_'.
var exactSecrets = map[string]bool{
	"auth": true, "authorization": true, "code": true, "oauthverifier": true, "otp": true, "pin": true,
	"jwt": true, "sid": true, "session": true, "sessionid": true, "sessid": true, "phpsessid": true,
	"jsessionid": true, "sig": true, "pass": true, "pwd": true, "magic": true, "nonce": true,
	"samlresponse": true, "samlrequest": true, "relaystate": true, "credentials": true,
	"mail": true, "tel": true, "mobile": true, "ssn": true, "iban": true,
	"firstname": true, "lastname": true, "fullname": true,
	"dob": true, "birthday": true, "birthdate": true,
}

// secretParts make a name that contains one of them secret, such as csrf_token or X-Amz-Signature.
var secretParts = []string{
	"token", "secret", "passw", "email", "phone", "apikey", "accesskey", "privatekey", "signature", "credential",
}

// harmless reports whether a parameter's name is one of those that most addresses of clicks have:
// looked for first, since the rest of secretName costs more than all other work on an address.
func harmless(name string) bool {
	switch name {
	case "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
		"gclid", "gbraid", "wbraid", "gad_source", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id",
		"dub_id", "pimms_id", "via", "ref", "aff", "fpr", "fp_ref", "source", "q", "page", "id", "lang":
		return true
	}
	return false
}

// secretName reports whether a parameter of this name is dropped.
func secretName(name string) bool {
	var buf [64]byte
	folded := buf[:0]
	for i := range min(len(name), len(buf)) {
		switch c := name[i]; {
		case c == '-' || c == '_':
		case 'A' <= c && c <= 'Z':
			folded = append(folded, c|0x20)
		default:
			folded = append(folded, c)
		}
	}
	if exactSecrets[string(folded)] {
		return true
	}
	for _, part := range secretParts {
		if strings.Contains(b2s(folded), part) {
			return true
		}
	}
	return false
}

// secretValue reports whether a parameter's value is an e-mail address or a JSON Web Token (RFC
// 7519), or begins like one of Stripe's secrets. Values are percent-encoded: %40 is @.
//
// mayBeMail is what mayHoldMail says of a text that v is a part of.
func secretValue(v string, mayBeMail bool) bool {
	if v == "" {
		return false
	}
	switch v[0] {
	case 's', 'r', 'w':
		for _, prefix := range [...]string{"sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"} {
			if strings.HasPrefix(v, prefix) {
				return true
			}
		}
	case 'e':
		if strings.HasPrefix(v, "eyJ") && strings.Count(v, ".") == 2 {
			return true
		}
	}
	if !mayBeMail {
		return false
	}
	domain := domainOfEmail(v)
	return domain != "" && strings.IndexByte(domain, '.') > 0
}

// domainOfEmail returns what follows the @ of something like an e-mail address, "" if there is
// none.
func domainOfEmail(v string) string {
	at, length := strings.IndexByte(v, '@'), len("@")
	if at < 0 {
		at, length = strings.Index(v, "%40"), len("%40")
	}
	if at <= 0 {
		return ""
	}
	return v[at+length:]
}

// secretSegment reports whether a segment of a path is dropped. Versions of packages (react@18.2.0)
// are no e-mail addresses: no top-level domain has digits.
func secretSegment(segment string) bool {
	if !secretValue(segment, true) {
		return false
	}
	domain := domainOfEmail(segment)
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return domain == "" || !strings.ContainsAny(last, "0123456789")
}

// redactPath returns url with "-" for each segment of its path, which ends at end, that is dropped:
// nothing at all could make the start of a host (://) of what stands around it.
func redactPath(url string, end int, scratch *[]byte) string {
	path := url[:end]
	if !mayHoldMail(path) && !strings.Contains(path, "/eyJ") {
		return url // as nearly every path
	}
	begin, kept := len(*scratch), 0
	for start := 0; start < end; {
		stop := end
		if slash := strings.IndexByte(path[start:], '/'); slash >= 0 {
			stop = start + slash
		}
		if secretSegment(path[start:stop]) {
			*scratch = append(append(*scratch, url[kept:start]...), '-')
			kept = stop
		}
		start = stop + 1
	}
	if kept == 0 {
		return url
	}
	*scratch = append(*scratch, url[kept:]...)
	return b2s((*scratch)[begin:])
}

// mayHoldMail reports whether s holds an @, as it is or percent-encoded: one look at the whole
// query costs less than one at each value.
func mayHoldMail(s string) bool {
	return strings.IndexByte(s, '@') >= 0 || strings.Contains(s, "%40")
}

// redactURL returns url without its secrets, and without the parameters that listed does not name
// if it is not nil. It appends to *scratch what it had to write anew, and returns url itself,
// without a copy, if there is nothing to drop.
func redactURL(url string, listed []string, scratch *[]byte) string {
	if strings.IndexByte(url, '@') >= 0 {
		if start, end := userInfo(url); end > start {
			url = appendText(scratch, url[:start], url[end:])
		}
	}
	mark := strings.IndexByte(url, '#')
	if query := strings.IndexByte(url, '?'); mark < 0 || query >= 0 && query < mark {
		mark = query
	}
	if mark < 0 {
		return redactPath(url, len(url), scratch)
	}
	rest := len(url) - mark
	url = redactPath(url, mark, scratch)
	mark = len(url) - rest
	if keepsAll(url[mark:], listed) {
		return url
	}
	begin, mail := len(*scratch), mayHoldMail(url[mark:])
	*scratch = append(*scratch, url[:mark]...)
	for rest := url[mark:]; rest != ""; {
		first := rest[0] // '?' or '#', or a separator within
		end := parameterEnd(rest)
		if n := len(*scratch); first == '#' && n > begin && (*scratch)[n-1] == '?' {
			*scratch = (*scratch)[:n-1] // a query of which nothing is left
		}
		switch part, n := rest[1:end], len(*scratch); {
		case drops(first, part, listed, mail):
			if first == '?' || first == '#' { // what follows takes its place
				*scratch = append(*scratch, first)
			}
		case (first == '&' || first == ';') && ((*scratch)[n-1] == '?' || (*scratch)[n-1] == '#'):
			*scratch = append(*scratch, part...)
		default:
			*scratch = append(append(*scratch, first), part...)
		}
		rest = rest[end:]
	}
	// A query or fragment of which nothing is left.
	text := (*scratch)[begin:]
	for n := len(text); n > 0 && (text[n-1] == '?' || text[n-1] == '#'); n = len(text) {
		text = text[:n-1]
	}
	return b2s(text)
}

// adIDs are the parameters by which advertising networks know a visitor again: those of
// processor/enrich/clickids.csv, the linker of Google Analytics, and the readers' ids of
// newsletters.
var adIDs = map[string]bool{
	"gclid": true, "gbraid": true, "wbraid": true, "msclkid": true, "yclid": true, "dclid": true, "ttclid": true,
	"twclid": true, "li_fat_id": true, "rdt_cid": true, "sccid": true, "epik": true, "qclid": true, "obclid": true,
	"dicbo": true, "tblci": true, "irclickid": true, "cjevent": true, "awc": true, "fbclid": true, "igshid": true,
	"igsh": true, "_gl": true, "_ga": true, "mc_eid": true, "_hsenc": true, "vero_id": true, "mkt_tok": true,
}

// withoutAdIDs returns url with the values of adIDs taken out: their names still say which network
// the visitor came by, and nothing about who it was. It appends to *scratch what it had to write
// anew.
func withoutAdIDs(url string, scratch *[]byte) string {
	mark := strings.IndexAny(url, "?#")
	if mark < 0 {
		return url
	}
	begin := len(*scratch)
	*scratch = append(*scratch, url[:mark]...)
	for rest := url[mark:]; rest != ""; {
		end := parameterEnd(rest)
		if name, _, assigned := strings.Cut(rest[1:end], "="); assigned && adIDs[strings.ToLower(name)] {
			*scratch = append(append(append(*scratch, rest[0]), name...), '=')
		} else {
			*scratch = append(*scratch, rest[:end]...)
		}
		rest = rest[end:]
	}
	return b2s((*scratch)[begin:])
}

// keepsAll reports whether none of the parameters in a query or fragment is dropped.
func keepsAll(rest string, listed []string) bool {
	mail := mayHoldMail(rest)
	for rest != "" {
		end := parameterEnd(rest)
		if drops(rest[0], rest[1:end], listed, mail) {
			return false
		}
		rest = rest[end:]
	}
	return true
}

// drops reports whether a parameter behind the given separator is dropped. What stands behind a '#'
// without a '=' is a place in the page, and no parameter.
func drops(separator byte, parameter string, listed []string, mayBeMail bool) bool {
	if listed == nil || parameter == "" {
		return isSecret(parameter, mayBeMail)
	}
	name, _, assigned := strings.Cut(parameter, "=")
	if (assigned || separator != '#') && !isListed(name, listed) {
		return true
	}
	return isSecret(parameter, mayBeMail)
}

// isListed reports whether listed names a parameter, or its beginning with a star behind it.
func isListed(name string, listed []string) bool {
	for _, l := range listed {
		if prefix, wildcard := strings.CutSuffix(l, "*"); name == l || wildcard && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// parameterEnd is where the parameter that begins behind rest[0] ends: at the next separator, or at
// the end.
func parameterEnd(rest string) int {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '?', '#', '&', ';':
			return i
		}
	}
	return len(rest)
}

func isSecret(parameter string, mayBeMail bool) bool {
	name, value, ok := strings.Cut(parameter, "=")
	if !ok {
		return secretValue(name, mayBeMail)
	}
	return value != "" && (!harmless(name) && secretName(name) || secretValue(value, mayBeMail))
}

// userInfo is where "user:password@" stands in an address; start equals end if there is none.
func userInfo(url string) (start, end int) {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return 0, 0
	}
	start = len(url) - len(rest)
	if stop := strings.IndexAny(rest, "/?#"); stop >= 0 {
		rest = rest[:stop]
	}
	return start, start + strings.LastIndexByte(rest, '@') + 1
}

func appendText(scratch *[]byte, parts ...string) string {
	begin := len(*scratch)
	for _, p := range parts {
		*scratch = append(*scratch, p...)
	}
	return b2s((*scratch)[begin:])
}
