package loopback

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func protected() http.Handler {
	return Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }))
}

// TestHost sends raw requests over a real connection: net/http's client would mend some of them.
func TestHost(t *testing.T) {
	server := httptest.NewServer(protected())
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for head, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: 127.0.0.1:" + port:                 200,
		"GET / HTTP/1.1\r\nHost: 127.0.0.1":                         200,
		"GET / HTTP/1.1\r\nHost: LocalHost:" + port:                 200,
		"GET / HTTP/1.1\r\nHost: localhost":                         200,
		"GET / HTTP/1.1\r\nHost: [::1]:" + port:                     200,
		"GET / HTTP/1.1\r\nHost: [::1]":                             200,
		"GET / HTTP/1.1\r\nHost: 127.8.8.8":                         200,
		"GET / HTTP/1.1\r\nHost: rebind.test:" + port:               403,
		"GET / HTTP/1.1\r\nHost: rebind.test":                       403,
		"GET / HTTP/1.1\r\nHost: 127.0.0.1.rebind.test":             403,
		"GET / HTTP/1.1\r\nHost: localhost.rebind.test":             403,
		"GET / HTTP/1.1\r\nHost: evil.localhost":                    403,
		"GET / HTTP/1.1\r\nHost: 10.0.0.1":                          403,
		"GET / HTTP/1.1\r\nHost: 0.0.0.0:" + port:                   403,
		"GET / HTTP/1.1\r\nHost: [::]":                              403,
		"GET / HTTP/1.1\r\nHost: 2130706433":                        403,
		"GET / HTTP/1.1\r\nHost: 127.1":                             403,
		"GET / HTTP/1.1\r\nHost: 0x7f.0.0.1":                        403,
		"GET / HTTP/1.1\r\nHost: ":                                  403,
		"GET / HTTP/1.0\r\nX-Nothing: x":                            403,
		"GET http://rebind.test/ HTTP/1.1\r\nHost: 127.0.0.1":       403,
		"POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: rebind.test": 403,
		"OPTIONS / HTTP/1.1\r\nHost: rebind.test":                   403,
		"HEAD / HTTP/1.1\r\nHost: rebind.test":                      403,
		"GET / HTTP/1.1\r\nX-Forwarded-Host: 127.0.0.1\r\nHost: a":  403,
		"GET / HTTP/1.1\r\nForwarded: host=localhost\r\nHost: a":    403,
	} {
		connection, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(connection, head+"\r\nConnection: close\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = connection.Close()
		if response.StatusCode != want || want == 403 && strings.Contains(string(body), "secret") {
			t.Errorf("%q: %d %s, want %d", head, response.StatusCode, body, want)
		}
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := response.Header.Get(name); got != value {
				t.Errorf("%q: %s is %q", head, name, got)
			}
		}
	}
}

func TestCrossSite(t *testing.T) {
	const own = "http://127.0.0.1:8123"
	for _, c := range []struct {
		header http.Header
		want   int
	}{
		{http.Header{}, 200},
		{http.Header{"Sec-Fetch-Site": {"none"}}, 200},
		{http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {own}}, 200},
		{http.Header{"Sec-Fetch-Site": {"none"}, "Referer": {"https://elsewhere.example/"}}, 200},
		{http.Header{"Referer": {own + "/page"}}, 200},
		{http.Header{"Referer": {""}}, 200},
		{http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		{http.Header{"Sec-Fetch-Site": {"None"}}, 403},
		{http.Header{"Sec-Fetch-Site": {""}}, 403},
		{http.Header{"Sec-Fetch-Site": {"none, cross-site"}}, 403},
		{http.Header{"Sec-Fetch-Site": {"none", "cross-site"}}, 403},
		{http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {own}}, 403},
		{http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://evil.example"}}, 403},
		{http.Header{"Origin": {"null"}}, 403},
		{http.Header{"Origin": {own, "https://evil.example"}}, 403},
		{http.Header{"Origin": {"http://127.0.0.1:9999"}}, 403},
		{http.Header{"Origin": {"http://localhost:8123"}}, 403},
		{http.Header{"Referer": {"https://evil.example/127.0.0.1:8123"}}, 403},
		{http.Header{"Referer": {"https://127.0.0.1:8123@evil.example/"}}, 403},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions} {
			request := httptest.NewRequest(method, own+"/", nil)
			request.Header = c.header
			answer := httptest.NewRecorder()
			protected().ServeHTTP(answer, request)
			if answer.Code != c.want {
				t.Errorf("%s %v: %d, want %d", method, c.header, answer.Code, c.want)
			}
		}
	}
}

// TestOtherAddress: who listens on an address of the network may be reached by its names.
func TestOtherAddress(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "http://metrics.internal:9090/", nil)
	local := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 9090}
	request = request.WithContext(context.WithValue(request.Context(), http.LocalAddrContextKey, net.Addr(local)))
	answer := httptest.NewRecorder()
	protected().ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Errorf("by a name of the network: %d", answer.Code)
	}
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	answer = httptest.NewRecorder()
	protected().ServeHTTP(answer, request)
	if answer.Code != http.StatusForbidden {
		t.Errorf("cross-site: %d", answer.Code)
	}
}
