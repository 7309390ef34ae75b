package clicks

import "strings"

// Addresses are stored without what opens somebody's account: people land on pages whose addresses
// carry password reset links, session tokens and their own e-mail address, and clicks are read by
// many. redactURL drops
//
//   - user:password@ before the host,
//   - every segment of the path that is a secret ("-" stands in its place), as does a long random
//     one behind a word such as "reset" or "invite"; and parameters of a segment (;jsessionid=…),
//   - every parameter of query and fragment whose name says that its value is a secret or
//     personal (secretName), and
//   - every parameter whose value is or holds a secret, whatever its name (secrets.go).
//
// Everything else stays as it is, since analysts need it: campaign parameters, click ids of
// advertising networks, via and ref, a shop's own product and page numbers. A workspace may list
// the parameters that it wants to be stored instead (schemas.Workspace, query_parameters); then all
// others are dropped, and of the listed ones those that hold a secret.

// redactPath returns url with "-" for each segment of its path, which ends at end, that is dropped:
// nothing at all could make the start of a host (://) of what stands around it.
func redactPath(url string, end int, scratch *[]byte) string {
	path := url[:end]
	if !mayHoldSecret(path) {
		return url // as nearly every path
	}
	begin, kept := len(*scratch), 0
	var a account
	for start := 0; start < end; {
		stop := end
		if slash := strings.IndexByte(path[start:], '/'); slash >= 0 {
			stop = start + slash
		}
		segment, parameters, _ := strings.Cut(path[start:stop], ";")
		switch {
		case secretSegment(path, segment, start, &a):
			*scratch = append(append(*scratch, url[kept:start]...), '-')
			kept = stop
		case parameters != "" && holdsSecretParameter(parameters):
			*scratch = append(*scratch, url[kept:start+len(segment)]...)
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
	return redactParameters(url, mark, listed, scratch)
}

// redactParameters returns url without the parameters behind mark that are dropped.
func redactParameters(url string, mark int, listed []string, scratch *[]byte) string {
	begin, odd := len(*scratch), isOdd(url[mark:])
	*scratch = append(*scratch, url[:mark]...)
	for rest := url[mark:]; rest != ""; {
		first := rest[0] // '?' or '#', or a separator within
		end := parameterEnd(rest)
		if n := len(*scratch); first == '#' && n > begin && (*scratch)[n-1] == '?' {
			*scratch = (*scratch)[:n-1] // a query of which nothing is left
		}
		switch part, n := rest[1:end], len(*scratch); {
		case drops(first, part, listed, odd):
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

// adIDs are the parameters by which advertising networks and senders of mail know a visitor again:
// those of processor/enrich/clickids.csv, the linker of Google Analytics, and those that Firefox
// and Brave take out of addresses (their lists of query stripping, 2026-11).
var adIDs = map[string]bool{
	"gclid": true, "gbraid": true, "wbraid": true, "msclkid": true, "yclid": true, "dclid": true, "ttclid": true,
	"twclid": true, "li_fat_id": true, "rdt_cid": true, "sccid": true, "epik": true, "qclid": true, "obclid": true,
	"dicbo": true, "ob_click_id": true, "tblci": true, "tbclid": true, "vmcid": true, "spclid": true, "ndclid": true,
	"irclickid": true, "irclid": true, "cjevent": true, "awc": true, "fbclid": true, "igshid": true,
	"igsh": true, "srsltid": true, "ysclid": true, "ymclid": true, "rb_clickid": true, "wickedid": true,
	"_gl": true, "_ga": true, "_openstat": true, "_branch_match_id": true, "fb_action_ids": true, "_bhlid": true,
	"mc_eid": true, "_hsenc": true, "__hssc": true, "__hstc": true, "__hsfp": true, "hsctatracking": true,
	"vero_id": true, "vero_conv": true, "mkt_tok": true, "_ke": true, "_kx": true, "__s": true, "oly_anon_id": true,
	"oly_enc_id": true, "ml_subscriber": true, "ml_subscriber_hash": true, "ss_email_id": true, "et_rid": true,
	"bsft_clkid": true, "bsft_uid": true, "at_recipient_id": true, "trk_contact": true,
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
	odd := isOdd(rest)
	for rest != "" {
		end := parameterEnd(rest)
		if drops(rest[0], rest[1:end], listed, odd) {
			return false
		}
		rest = rest[end:]
	}
	return true
}

// drops reports whether a parameter behind the given separator is dropped. What stands behind a '#'
// without a '=' is a place in the page, and no parameter. odd is what isOdd says of a text that
// holds the parameter.
func drops(separator byte, parameter string, listed []string, odd bool) bool {
	if listed != nil && parameter != "" {
		name, _, assigned := strings.Cut(parameter, "=")
		if (assigned || separator != '#') && !isListed(name, listed) {
			return true
		}
	}
	return isSecret(parameter, odd) || separator == '#' && holdsSecretSegment(parameter)
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

// parameterEnd returns where the parameter after the separator rest[0] ends: at the next separator,
// or at the end of rest.
func parameterEnd(rest string) int {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '?', '#', '&', ';':
			return i
		}
	}
	return len(rest)
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
