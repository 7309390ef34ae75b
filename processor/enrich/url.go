package enrich

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxURL     = 16 << 10 // bytes of an address that are looked at
	maxHost    = 255      // bytes, RFC 1035
	maxPath    = 2048     // bytes kept of a path
	maxValue   = 256      // bytes kept of a UTM value
	maxClickID = 1024     // bytes kept of an ad click id; the longest in use are a few hundred
)

// UTM are the five campaign parameters, as they stand in the address, percent-decoded; "" when
// absent.
type UTM struct {
	Source, Medium, Campaign, Term, Content string
}

// Parts are the columns that come from a click's address.
type Parts struct {
	// host is in lower case, without port, user and trailing dot; "www." is kept.
	Host string
	// Path as it stands in the address, still percent-encoded, so that two different paths stay
	// different; "/" when the address has a host and no path.
	Path string
	UTM
	// AdNetwork says which advertising or affiliate network marked the click (google, meta, …),
	// AdClickID with which id.
	AdNetwork, AdClickID string
	// Affiliate is the value of the first parameter that names an affiliate and nothing else: via,
	// fp_ref, fpr, aff, aff_id, affiliate, affiliate_id.
	Affiliate string
	// Ref is the value of ref or source: some sites name an affiliate by it, others the place of a
	// link. It serves as a hint where utm_source is absent.
	Ref string
}

// URL takes an address apart. It accepts what browsers send and what they should not: broken
// escapes, invalid UTF-8, no scheme. Parameter names are matched in any case. Of a parameter that
// is repeated the first value that is not empty counts. Parameters are read from the query first,
// then from the fragment, where single-page sites keep theirs.
func URL(raw string) Parts {
	raw = strings.TrimSpace(raw)
	if len(raw) > maxURL {
		raw = raw[:maxURL]
	}
	var parts Parts
	rest, fragment, _ := strings.Cut(raw, "#")
	rest, query, _ := strings.Cut(rest, "?")
	host, path := splitAuthority(rest)
	parts.Host = host
	parts.Path = tidy(path, maxPath)
	if parts.Path == "" && parts.Host != "" {
		parts.Path = "/"
	}
	rank := len(clickIDs)
	parts.read(query, &rank)
	if strings.Contains(fragment, "=") {
		// "#/page?utm_source=x", or "#utm_source=x"
		if _, after, found := strings.Cut(fragment, "?"); found {
			fragment = after
		}
		parts.read(fragment, &rank)
	}
	return parts
}

// host returns the host of an address in the form of Parts.Host, or "".
func host(raw string) string {
	raw = strings.TrimSpace(raw)
	if len(raw) > maxURL {
		raw = raw[:maxURL]
	}
	if end := strings.IndexAny(raw, "?#"); end >= 0 {
		raw = raw[:end]
	}
	host, _ := splitAuthority(raw)
	return host
}

// splitAuthority separates scheme://user@host:port/path, //host/path, host.tld/path and /path.
func splitAuthority(s string) (host, path string) {
	after := ""
	switch at := strings.Index(s, "://"); {
	case at >= 0 && isScheme(s[:at]):
		after = s[at+3:]
	case strings.HasPrefix(s, "//"):
		after = s[2:]
	default:
		// Without a scheme only what looks like a domain is taken for one: "example.com/page", not
		// "page.html:x" or "/page".
		first, _, _ := strings.Cut(s, "/")
		name, port, hasPort := strings.Cut(first, ":")
		if !strings.Contains(name, ".") || hasPort && !isDigits(port) || cleanHost(first) == "" {
			return "", s
		}
		after = s
	}
	authority := after
	// Browsers read a backslash as a slash.
	if at := strings.IndexAny(after, `/\`); at >= 0 {
		authority, path = after[:at], after[at:]
	}
	return cleanHost(authority), path
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !(c >= 'a' && c <= 'z') && (i == 0 || !(s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' ||
			s[i] == '.')) {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// cleanHost reduces user:password@Host:port to host, and returns "" for what cannot be one.
func cleanHost(authority string) string {
	// First of all, so that no character that is removed can hide what the rules below look for.
	authority = tidy(authority, maxURL)
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	host := authority
	if strings.HasPrefix(host, "[") {
		// An IPv6 address keeps its brackets, which distinguish it from a name with a port.
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return ""
		}
		host = host[:end+1]
	} else if at := strings.IndexByte(host, ':'); at >= 0 {
		host = host[:at]
	}
	host = strings.ToLower(strings.TrimRight(host, "."))
	if len(host) > maxHost || strings.ContainsAny(host, " \"'<>|^`{}%,;()*\uFFFD") {
		return ""
	}
	return host
}

// read takes the known parameters out of a query. rank is that of the ad click id found so far.
func (p *Parts) read(query string, rank *int) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, given := strings.Cut(pair, "=")
		if !given {
			continue
		}
		// Long names are none of ours; this bounds the work of the line below.
		if len(key) > 32 {
			continue
		}
		// "&amp;" pasted out of a page's source is the commonest broken link of all.
		key = strings.TrimPrefix(strings.ToLower(unescape(key)), "amp;")
		switch key {
		case "utm_source":
			keep(&p.Source, value, maxValue)
		case "utm_medium":
			keep(&p.Medium, value, maxValue)
		case "utm_campaign":
			keep(&p.Campaign, value, maxValue)
		case "utm_term":
			keep(&p.Term, value, maxValue)
		case "utm_content":
			keep(&p.Content, value, maxValue)
		case "via", "fp_ref", "fpr", "aff", "aff_id", "affiliate", "affiliate_id":
			keep(&p.Affiliate, value, maxValue)
		case "ref", "source":
			keep(&p.Ref, value, maxValue)
		case "gad_source", "gad_campaignid":
			// Google's, without an id: all that is left where a browser has taken gclid out.
			if p.AdNetwork == "" && value != "" {
				p.AdNetwork = "google"
			}
		default:
			id, known := clickIDs[key]
			if !known || id.rank >= *rank {
				continue
			}
			found := ""
			if keep(&found, value, maxClickID); found != "" {
				p.AdNetwork, p.AdClickID, *rank = id.network, found, id.rank
			} else if p.AdNetwork == "" {
				p.AdNetwork = id.network // the edge takes the id out where the visitor did not consent
			}
		}
	}
}

// keep sets a field that is still empty.
func keep(field *string, value string, limit int) {
	if *field == "" {
		*field = tidy(unescape(value), limit)
	}
}

// unescape decodes percent escapes and plus signs. A broken escape stands for itself, as browsers
// do it.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		if strings.IndexByte(s, '+') < 0 {
			return s
		}
		return strings.ReplaceAll(s, "+", " ")
	}
	var out strings.Builder
	out.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			out.WriteByte(' ')
		case '%':
			if i+2 < len(s) {
				high, okHigh := unhex(s[i+1])
				low, okLow := unhex(s[i+2])
				if okHigh && okLow {
					out.WriteByte(high<<4 | low)
					i += 2
					continue
				}
			}
			out.WriteByte('%')
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// tidy makes text fit for a column: valid UTF-8, without control characters, trimmed, and at most
// limit bytes, cut between characters.
func tidy(s string, limit int) string {
	clean := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			clean = false
			break
		}
	}
	if !clean {
		s = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(s, "\uFFFD"))
	}
	s = strings.TrimSpace(s)
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = strings.TrimSpace(s[:cut])
	}
	return s
}
