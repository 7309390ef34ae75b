package clicks

import (
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"

	"tributary/ingest/geo"
	"tributary/schemas/program"
)

// clientAddress is the visitor's address: the connection's, unless that is a trusted proxy's. Then
// X-Forwarded-For is read from right to left and the first address that is no trusted proxy's
// counts. What stands further left was written by that client itself and may be anything. trusted
// says whether the peer's other headers may be believed too.
func (s *Server) clientAddress(ctx *fasthttp.RequestCtx) (addr netip.Addr, trusted bool) {
	addr = peerOf(ctx)
	if len(s.cfg.TrustedProxies) == 0 {
		if len(ctx.Request.Header.Peek(fasthttp.HeaderXForwardedFor)) > 0 {
			s.forwarded.Do(func() {
				s.log.Warn("X-Forwarded-For arrives and no proxy is trusted: if there is one in front, all its visitors "+
					"count as one address",
					"peer_is_loopback", addr.IsLoopback(), "hint", "--trusted-proxies names the networks of your proxies")
			})
		}
		return addr, false
	}
	if !s.isProxy(addr) {
		return addr, false
	}
	hops := ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor)
	for i := len(hops) - 1; i >= 0; i-- {
		rest := string(hops[i])
		for rest != "" {
			hop := rest
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				rest = ""
			}
			next, ok := program.ParseAddress(strings.TrimSpace(hop))
			if !ok {
				return addr, true // an unreadable hop: what is left of it cannot be placed
			}
			addr = next
			if !s.isProxy(addr) {
				return addr, true
			}
		}
	}
	return addr, true
}

func (s *Server) isProxy(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// peerOf is the address of the connection's other end.
func peerOf(ctx *fasthttp.RequestCtx) netip.Addr {
	if c := connOf(ctx); c != nil {
		return c.peer()
	}
	return addressOf(ctx.RemoteAddr())
}

// connOf is the connection below TLS, nil in a test without one.
func connOf(ctx *fasthttp.RequestCtx) *deadlineConn {
	switch c := ctx.Conn().(type) {
	case *deadlineConn:
		return c
	case *tlsConn:
		return c.below.deadlineConn
	}
	return nil
}

func addressOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return program.CanonicalAddress(t.AddrPort().Addr())
	}
	return netip.Addr{}
}

// Headers in which content networks and platforms give the visitor's place.
var (
	countryHeaders = []string{"Cf-Ipcountry", "X-Vercel-Ip-Country", "Cloudfront-Viewer-Country",
		"X-Appengine-Country", "X-Country-Code"}
	regionHeaders = []string{"Cf-Region-Code", "X-Vercel-Ip-Country-Region", "Cloudfront-Viewer-Country-Region",
		"X-Appengine-Region"}
	cityHeaders = []string{"Cf-Ipcity", "X-Vercel-Ip-City", "Cloudfront-Viewer-City", "X-Appengine-City"}

	continentHeaders = []string{"Cf-Ipcontinent", "X-Vercel-Ip-Continent"}
	purposeHeaders   = []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"}
)

// place is where the visitor is. A trusted proxy's headers go before the files, which may add to
// the same country.
func (s *Server) place(h *fasthttp.RequestHeader, addr netip.Addr, trusted bool) geo.Place {
	place := s.cfg.Geo.Lookup(addr)
	if !trusted {
		return place
	}
	country, _ := countryCode(b2s(firstHeader(h, countryHeaders)))
	region := clean(cut(b2s(firstHeader(h, regionHeaders)), maxPlace))
	city := clean(cut(decodePercent(b2s(firstHeader(h, cityHeaders))), maxPlace))
	continent := b2s(firstHeader(h, continentHeaders))
	if country != "" && country != place.Country {
		place = geo.Place{Country: country, Datacenter: place.Datacenter}
	}
	if region != "" || city != "" {
		place.Region, place.City = region, city
	}
	if geo.IsContinent(continent) {
		place.Continent = continent
	}
	return place
}

// purpose says whether a browser fetches before anybody has asked for it. Sec-Purpose is the Fetch
// standard's header, "prefetch" or "prefetch;prerender"; Purpose is the older one of Chrome and
// Safari, X-Moz that of Firefox.
func purpose(h *fasthttp.RequestHeader) string {
	v := b2s(firstHeader(h, purposeHeaders))
	switch {
	case v == "":
		return ""
	case strings.Contains(v, "prerender"):
		return "prerender"
	case strings.Contains(v, "prefetch"), strings.Contains(v, "preview"):
		return "prefetch"
	}
	return ""
}

// hints is what a browser says of itself beside its agent, in which Chromium no longer says the
// system's version nor every brand (W3C User-Agent Client Hints). Brands and platform come unasked
// over https, the version only from sites that ask for it.
type hints struct{ brands, platform, version string }

func hintsOf(h *fasthttp.RequestHeader) hints {
	brands := h.Peek("Sec-Ch-Ua")
	if len(brands) == 0 {
		return hints{}
	}
	text := func(value []byte) string { return clean(cut(b2s(value), maxHint)) }
	return hints{text(brands), text(h.Peek("Sec-Ch-Ua-Platform")), text(h.Peek("Sec-Ch-Ua-Platform-Version"))}
}

func firstHeader(h *fasthttp.RequestHeader, names []string) []byte {
	for _, n := range names {
		if v := h.Peek(n); len(v) > 0 {
			return v
		}
	}
	return nil
}

// countryCode returns ISO 3166-1 alpha-2 in upper case. XX and ZZ mean unknown, T1 the Tor network
// (Cloudflare).
func countryCode(v string) (string, bool) {
	if len(v) != 2 || !isLetter(v[0]) || !isLetter(v[1]) {
		return "", v == "T1" || v == ""
	}
	v = strings.ToUpper(v)
	if v == "XX" || v == "ZZ" {
		return "", true
	}
	return v, true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// site is the host that sent a beacon, lower case and without port: from Origin, else from Referer;
// "" if neither says.
func site(h *fasthttp.RequestHeader) string {
	if host := hostOf(b2s(h.Peek(fasthttp.HeaderOrigin))); host != "" { // "null" (a sandboxed frame) has no host
		return host
	}
	return hostOf(b2s(h.Peek(fasthttp.HeaderReferer)))
}

// hostOf is the host of an address such as https://user@host:port/path, in lower case; "" if there
// is none.
func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	from, end := 0, 0
authority: // in one pass: strings.IndexAny makes a set of its characters first
	for ; end < len(rest); end++ {
		switch rest[end] {
		case '/', '?', '#', '\\': // browsers read a backslash as a slash
			break authority
		case '@':
			from = end + 1
		}
	}
	rest = rest[from:end]
	if strings.HasPrefix(rest, "[") {
		if end := strings.IndexByte(rest, ']'); end >= 0 {
			return rest[1:end]
		}
		return ""
	}
	rest, _, _ = strings.Cut(rest, ":")
	return strings.ToLower(strings.TrimSuffix(rest, "."))
}
