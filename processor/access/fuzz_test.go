package access

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever somebody sends as a signed value is not ours, and breaks nothing.
func FuzzSigned(f *testing.F) {
	s, err := newSigner(key, "session")
	if err != nil {
		f.Fatal(err)
	}
	own, err := s.sign(session{User: "ada", Expires: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own[1:])
	f.Add(".")
	f.Add("e30.e30")
	f.Fuzz(func(t *testing.T, text string) {
		var read session
		if s.open(text, &read) && text != own {
			t.Errorf("%q is taken for %+v", text, read)
		}
	})
}

// Wherever a browser is sent to after a login, it stays on this site.
func FuzzNext(f *testing.F) {
	for _, next := range []string{"/", "//evil.example", `/\evil.example`, "/a?b=c#d",
		"/%2f/evil.example", "/./", "/\x00"} {
		f.Add(next)
	}
	f.Fuzz(func(t *testing.T, next string) {
		path := localPath(next)
		u, err := url.Parse(public + "/login")
		if err != nil {
			t.Fatal(err)
		}
		if target, err := u.Parse(path); err == nil && (target.Host != u.Host || target.Scheme != u.Scheme) {
			t.Errorf("%q leads to %s", next, target)
		}
		if strings.HasPrefix(path, "//") || strings.HasPrefix(path, `/\`) || !strings.HasPrefix(path, "/") {
			t.Errorf("%q leads to %q", next, path)
		}
	})
}

func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.9, 10.0.0.2")
	f.Add("[::1]:1", "nonsense, ,")
	f.Fuzz(func(_ *testing.T, peer, forwarded string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header["X-Forwarded-For"] = []string{forwarded}
		_ = network(clientAddress(r, nil)) // it must not panic
	})
}
