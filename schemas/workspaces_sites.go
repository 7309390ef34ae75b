package schemas

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	_ "time/tzdata" // time zones are known on machines that have no zone files

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Bounds of RetentionDays. A visitor's clicks are counted anew while they may still arrive, for 30
// days (package clicks); ClickHouse's clock for it ends in 2106.
const (
	minRetentionDays = 31
	maxRetentionDays = 3650
)

func (c *workspacesCheck) checkSites(w *Workspace, path string) {
	own := make(map[string]bool) // www.example.com beside example.com is one site written twice
	for i, given := range w.Hostnames {
		at := path + ".hostnames[" + strconv.Itoa(i) + "]"
		host, err := normalizeHostname(given)
		if err != nil {
			c.fault(at, "hostname %q: %v", given, err)
			continue
		}
		w.Hostnames[i] = host
		if !own[host] || slices.Contains(w.Hostnames[:i], given) {
			c.claim(c.hosts, host, at, w.ID, "hostname "+strconv.Quote(host))
		}
		own[host] = true
	}
	for i, scheme := range w.Schemes {
		w.Schemes[i] = strings.ToLower(scheme)
		if !schemePattern.MatchString(w.Schemes[i]) || slices.Contains(refusedSchemes, w.Schemes[i]) {
			c.fault(path+".schemes["+strconv.Itoa(i)+"]", "scheme %q (hint: an app's, such as myapp, without ://)", scheme)
		}
	}
}

var (
	schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`) // RFC 3986 §3.1
	// A link with one of these is a script or a file, and never an arrival.
	refusedSchemes = []string{"javascript", "data", "vbscript", "blob", "file", "about"}
	// What browsers do to a hostname before they send it
	// (https://url.spec.whatwg.org/#concept-domain-to-ascii).
	browserHostname = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
		idna.BidiRule(), idna.VerifyDNSLength(true))
)

// normalizeHostname returns a hostname as the Origin header shows it, without "www.".
func normalizeHostname(given string) (string, error) {
	const hint = "(hint: shop.example.com or *.example.com, without scheme, port or path)"
	bare, wildcard := strings.CutPrefix(given, "*.")
	if bare == "" || strings.ContainsAny(bare, "*/:@?#\\%, \t\r\n") || strings.HasSuffix(bare, ".") {
		return "", fmt.Errorf("it is not a hostname %s", hint)
	}
	host, err := browserHostname.ToASCII(bare)
	if err != nil || host == "" {
		return "", fmt.Errorf("no browser can send it: %w %s", err, hint)
	}
	_, addrErr := netip.ParseAddr(host)
	if addrErr == nil && wildcard {
		return "", fmt.Errorf("an address has no subdomains %s", hint)
	}
	if addrErr != nil && numeric.MatchString(host) { // https://url.spec.whatwg.org/#ends-in-a-number-checker
		return "", fmt.Errorf("a browser reads it as an address, and sends another form of it (hint: 127.0.0.1)")
	}
	if !wildcard {
		return strings.TrimPrefix(host, "www."), nil
	}
	if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host && host != "localhost" {
		return "", fmt.Errorf("everybody may have a name under %s (hint: *.example.com, the domain that is yours)", host)
	}
	return "*." + host, nil
}

// numeric is a hostname that browsers take for an IPv4 address: its last label is a number.
var numeric = regexp.MustCompile(`(?i)(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$`)
