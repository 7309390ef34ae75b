package loopback

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Whatever a sender keeps back, its connection ends. Each probe shortens the one limit that it
// tests, so that a slow machine cannot meet another one first.
func TestServerEndsConnections(t *testing.T) {
	const soon = 50 * time.Millisecond
	request := "GET / HTTP/1.1\r\nHost: localhost\r\n"
	for _, tt := range []struct {
		name, text, want string
		shorten          func(*http.Server)
	}{
		{"nothing", "", "", func(s *http.Server) { s.ReadHeaderTimeout = soon }},
		{"half a head", request, "", func(s *http.Server) { s.ReadHeaderTimeout = soon }},
		{"half a body", request + "Content-Length: 9\r\n\r\nx", "", func(s *http.Server) { s.ReadTimeout = soon }},
		{"half a chunk", request + "Transfer-Encoding: chunked\r\n\r\n9\r\nx", "",
			func(s *http.Server) { s.ReadTimeout = soon }},
		{"no second request", request + "\r\n", "HTTP/1.1 200", func(s *http.Server) { s.IdleTimeout = soon }},
		{"a large head", request + "X: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", "HTTP/1.1 431",
			func(*http.Server) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
			tt.shorten(s)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = s.Serve(l) }()
			defer s.Close()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(3 * time.Minute))
			_, _ = io.WriteString(c, tt.text)
			answer, err := io.ReadAll(c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
			if !strings.HasPrefix(string(answer), tt.want) {
				t.Errorf("answer %q, want %s", answer, tt.want)
			}
		})
	}
}
