// Package loopback keeps web pages away from HTTP endpoints that listen on this machine only.
//
// A browser runs pages of strangers on the same machine, so an address such as 127.0.0.1 is no
// protection by itself. A page can send requests there (cross-site requests), and a name of its own
// that resolves to 127.0.0.1 makes the endpoint look like its own site (DNS rebinding).
package loopback

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Protect answers 403 to requests that a web page of another site may have caused, whatever their
// method, and hands all others to next:
//
//   - A Host other than localhost or a loopback address is refused if the connection came over a
//     loopback address. This is what DNS rebinding looks like. Whoever listens on another address
//     has chosen to be reached by other names.
//   - Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/) other than none or same-origin is
//     refused, and so are an Origin and, from browsers that send no Sec-Fetch-Site, a Referer of
//     another site.
//
// Every answer asks browsers not to guess its type and not to lend it to other sites.
func Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case overLoopback(r) && !Host(r.Host):
			http.Error(w, "The Host header must be localhost or a loopback address "+
				"(hint: open http://127.0.0.1 with this port; a proxy must set the Host header)", http.StatusForbidden)
		case crossSite(r):
			http.Error(w, "Requests caused by another web site are refused (hint: enter the address by hand)",
				http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// overLoopback reports whether the client connected to a loopback address. A request without a
// known connection is treated as if it had.
func overLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return !ok || local.IP.IsLoopback()
}

// Host reports whether a host, with or without a port, is localhost or a loopback address.
func Host(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

// crossSite reports whether a browser says that another site caused the request. Each header may be
// repeated; all values must be harmless.
func crossSite(r *http.Request) bool {
	fetch := r.Header["Sec-Fetch-Site"]
	for _, value := range fetch {
		if value != "none" && value != "same-origin" {
			return true
		}
	}
	for _, origin := range r.Header["Origin"] {
		if !sameHost(origin, r.Host) {
			return true
		}
	}
	if len(fetch) > 0 {
		return false
	}
	for _, referer := range r.Header["Referer"] {
		if referer != "" && !sameHost(referer, r.Host) {
			return true
		}
	}
	return false
}

// sameHost reports whether a URL names the given host and port. The opaque origin "null" does not.
func sameHost(rawURL, host string) bool {
	u, err := url.Parse(rawURL)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, host)
}
