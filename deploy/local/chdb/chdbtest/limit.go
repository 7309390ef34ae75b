package chdbtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// Limit is a way to the engine on which a program is killed between two of its statements.
type Limit struct {
	// DSN is of the limited way, to the same database.
	DSN string

	proxy *httputil.ReverseProxy
	left  atomic.Int64 // statements that change something and may still be executed
	kill  atomic.Pointer[context.CancelFunc]
}

// Unlimited is for [Limit.Allow]: more statements than any test executes.
const Unlimited = 1 << 40

// NewLimit makes a way to the database of a DSN that [Start] has returned. Nothing is limited
// before the first call of [Limit.Allow].
func NewLimit(tb testing.TB, dsn string) *Limit {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	l := &Limit{proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: u.Scheme, Host: u.Host})}
	l.left.Store(Unlimited)
	server := httptest.NewServer(l)
	tb.Cleanup(server.Close)
	u.Host = strings.TrimPrefix(server.URL, "http://")
	l.DSN = u.String()
	return l
}

// Allow lets n statements that change something be executed. The answer to the last of them is
// lost, and the returned context, which the program must run in, ends; so does every later request.
// survived ends the context, too, and reports whether the program needed fewer statements.
func (l *Limit) Allow(ctx context.Context, n int) (killed context.Context, survived func() bool) {
	killed, cancel := context.WithCancel(ctx)
	l.kill.Store(&cancel)
	l.left.Store(int64(n))
	return killed, func() bool {
		defer cancel()
		return killed.Err() == nil
	}
}

func (l *Limit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := make([]byte, 64)
	n, _ := io.ReadFull(r.Body, head)
	body := r.Body
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head[:n]), body), body}
	statement := strings.TrimSpace(r.URL.Query().Get("query") + string(head[:n]))
	word, _, _ := strings.Cut(strings.ToUpper(statement), " ")
	left := l.left.Load()
	if word != "SELECT" && word != "WITH" && word != "" {
		left = l.left.Add(-1)
		if left == 0 { // executed to its end, whatever becomes of the program
			l.proxy.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
			(*l.kill.Load())()
		}
	}
	if left <= 0 {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	l.proxy.ServeHTTP(w, r)
}
