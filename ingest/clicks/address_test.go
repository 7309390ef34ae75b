package clicks

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestClientAddress(t *testing.T) {
	s := &Server{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("2001:db8::/32")}}}
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
		trusted    bool
	}{
		{"no proxy", "203.0.113.1", nil, "203.0.113.1", false},
		{"a stranger's header", "203.0.113.1", []string{"198.51.100.1"}, "203.0.113.1", false},
		{"one proxy", "10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1", true},
		{"forged on the left", "10.0.0.1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1", true},
		{"two proxies", "10.0.0.1", []string{"198.51.100.1, 10.9.9.9"}, "198.51.100.1", true},
		{"two headers", "10.0.0.1", []string{"1.1.1.1", "198.51.100.1,10.9.9.9"}, "198.51.100.1", true},
		{"with ports", "10.0.0.1", []string{"198.51.100.1:4711"}, "198.51.100.1", true},
		{"IPv6", "2001:db8::1", []string{"[2001:470::5]:443"}, "2001:470::5", true},
		{"IPv4 in IPv6", "::ffff:10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1", true},
		{"IPv4 translated to IPv6", "64:ff9b::a00:1", []string{"64:ff9b::198.51.100.1"}, "198.51.100.1", true},
		{"another prefix than that of translation", "64:ff9b:1::a00:1", nil, "64:ff9b:1::a00:1", false},
		{"only proxies", "10.0.0.1", []string{"10.0.0.2"}, "10.0.0.2", true},
		{"nothing forwarded", "10.0.0.1", nil, "10.0.0.1", true},
		{"unreadable", "10.0.0.1", []string{"198.51.100.1, unknown"}, "10.0.0.1", true},
		{"a port that is none", "10.0.0.1", []string{"198.51.100.1:70000"}, "10.0.0.1", true},
		{"quoted", "10.0.0.1", []string{`"198.51.100.1"`}, "10.0.0.1", true},
		{"a number", "10.0.0.1", []string{"3325256705"}, "10.0.0.1", true},
		{"hexadecimal", "10.0.0.1", []string{"0xc6.0x33.0x64.1"}, "10.0.0.1", true},
		{"zeros in front", "10.0.0.1", []string{"198.051.100.001"}, "10.0.0.1", true},
		{"IPv6 with a zone", "10.0.0.1", []string{"[fe80::1%eth0]:80"}, "fe80::1", true},
		{"IPv6 in brackets", "10.0.0.1", []string{"[2001:470::5]"}, "2001:470::5", true},
		{"spaces and tabs", "10.0.0.1", []string{" 1.1.1.1 ,\t198.51.100.1\t"}, "198.51.100.1", true},
		{"a proxy's address in IPv6", "10.0.0.1", []string{"198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1", true},
		{"only commas", "10.0.0.1", []string{strings.Repeat(",", 1000)}, "10.0.0.1", true},
		{"empty hop", "10.0.0.1", []string{"198.51.100.1,"}, "10.0.0.1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var req fasthttp.Request
			for _, v := range tt.forwarded {
				req.Header.Add("X-Forwarded-For", v)
			}
			var ctx fasthttp.RequestCtx
			ctx.Init(&req, &net.TCPAddr{IP: net.ParseIP(tt.peer), Port: 1}, nil)
			got, trusted := s.clientAddress(&ctx)
			if got.String() != tt.want || trusted != tt.trusted {
				t.Errorf("%s, trusted %v; want %s, %v", got, trusted, tt.want, tt.trusted)
			}
		})
	}
}

func TestHostOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://shop.example":                "shop.example",
		"https://SHOP.example:8443/a?b#c":     "shop.example",
		"https://user:pw@shop.example/x":      "shop.example",
		"https://shop.example\\@evil.example": "shop.example",
		"https://[2001:db8::1]:80/":           "2001:db8::1",
		"https://shop.example./":              "shop.example",
		"null":                                "",
		"":                                    "",
		"shop.example":                        "",
	} {
		if got := hostOf(url); got != want {
			t.Errorf("hostOf(%q) = %q, want %q", url, got, want)
		}
	}
}

func TestCountryCode(t *testing.T) {
	for v, want := range map[string]string{"de": "DE", "FR": "FR", "XX": "", "T1": "", "": "", "DEU": "", "1A": ""} {
		if got, _ := countryCode(v); got != want {
			t.Errorf("countryCode(%q) = %q, want %q", v, got, want)
		}
	}
}
