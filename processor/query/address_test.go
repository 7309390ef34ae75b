package query

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
)

// listen returns the address of a host that accepts connections, as its kernel does, and answers
// nothing.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// way is a way to a host that can be cut: requests of open connections, too, are then not answered.
type way struct {
	address string
	cut     atomic.Bool
	pings   bool         // a proxy answers pings for the host
	posts   atomic.Int64 // statements that came
}

func newWay(t *testing.T, engine *url.URL) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{address: l.Addr().String()}
	proxy := httputil.NewSingleHostReverseProxy(engine)
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.posts.Add(1)
		}
		if w.pings && r.URL.Path == "/ping" {
			return
		}
		if w.cut.Load() {
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(rw, r)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return w
}

// An address that is silent, at first or after it has answered, keeps no question from the next one,
// and is asked first only when that one fails. One that works for long on a question is not left.
func TestSilentAddress(t *testing.T) {
	engine, err := url.Parse(chdbtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	engine.Path = ""
	open := func(t *testing.T, addresses ...string) *Asker {
		t.Helper()
		a, err := Open("http://"+strings.Join(addresses, ",")+"/default", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		return a
	}
	ask := func(t *testing.T, a *Asker, statement string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), a.timeout+2*silence)
		defer cancel()
		response, err := a.post(ctx, url.Values{}, statement)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != "0\n" {
			t.Fatalf("the answer is %q; %v", body, err)
		}
	}
	t.Run("two at first", func(t *testing.T) {
		t.Parallel()
		a := open(t, listen(t), listen(t), engine.Host)
		ask(t, a, "SELECT 0")
		if a.last.Load() != 2 {
			t.Errorf("the next question begins with address %d", a.last.Load())
		}
	})
	t.Run("after it has answered", func(t *testing.T) {
		t.Parallel()
		one, two := newWay(t, engine), newWay(t, engine)
		a := open(t, one.address, two.address)
		ask(t, a, "SELECT 0")
		one.cut.Store(true)
		ask(t, a, "SELECT 0")
		one.cut.Store(false)
		ask(t, a, "SELECT 0")
		if one.posts.Load() != 2 || two.posts.Load() != 2 {
			t.Errorf("the first is asked %d times, want 2, and the second %d times, want 2", one.posts.Load(),
				two.posts.Load())
		}
		two.cut.Store(true)
		ask(t, a, "SELECT 0")
		if one.posts.Load() != 3 {
			t.Errorf("the first is asked %d times when the second is silent, too", one.posts.Load())
		}
	})
	t.Run("a question that takes long", func(t *testing.T) {
		t.Parallel()
		one := newWay(t, engine)
		ask(t, open(t, one.address, listen(t)), "SELECT sleep(3)")
		if one.posts.Load() != 1 {
			t.Errorf("it is asked %d times", one.posts.Load())
		}
	})
	t.Run("behind a proxy that answers pings", func(t *testing.T) {
		t.Parallel()
		one, two := newWay(t, engine), newWay(t, engine)
		one.pings = true
		a := open(t, one.address, two.address)
		one.cut.Store(true)
		left, leave := context.WithCancel(t.Context())
		go func() {
			defer leave()
			for one.posts.Load() == 0 && t.Context().Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		over, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for _, ctx := range []context.Context{left, over} { // a reader who leaves says nothing of the address
			if response, err := a.post(ctx, url.Values{}, "SELECT 0"); err == nil {
				response.Body.Close()
				t.Fatal("a silent server has answered")
			}
		}
		if one.posts.Load() != 2 {
			t.Errorf("the first is asked %d times, want 2", one.posts.Load())
		}
		if a.last.Load() != 1 {
			t.Errorf("the next question begins with address %d", a.last.Load())
		}
		ask(t, a, "SELECT 0")
	})
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		a := open(t, listen(t))
		_, err := a.Ask(t.Context(), "somebody", sql.Question{Name: "freshness"}, nil, JSON)
		var fault *Fault
		if !errors.As(err, &fault) || fault.Code != "clickhouse_unavailable" {
			t.Errorf("the answer is %v", err)
		}
	})
}
