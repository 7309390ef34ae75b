package query

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"tributary/sql/sqltest"
)

// Rights without which figures are right, and only come later or cost more, are named with their
// GRANT. The engine lets everybody read its system tables, so what is in front of it refuses them as
// a server does.
func TestLackingRights(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	engine, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	database := engine.Path
	engine.Path = ""
	proxy := httputil.NewSingleHostReverseProxy(engine)
	for _, tt := range []struct {
		refused map[string]string // table → ClickHouse's error code
		want    []string          // of the warnings, in their order
		fault   string
	}{
		{},
		{refused: map[string]string{"system.replicas": "497"}, want: []string{"GRANT SELECT ON system.replicas TO page)"}},
		{refused: map[string]string{"system.replicas": "497", "system.parts": "497"},
			want: []string{"GRANT SELECT ON system.parts TO page)", "GRANT SELECT ON system.replicas TO page)"}},
		{refused: map[string]string{"revenue": "497"}, fault: "clickhouse_denied: ClickHouse refuses the user"},
		{refused: map[string]string{"revenue": "164"}, fault: "whose profile has readonly = 2"},
		{refused: map[string]string{"revenue": "60"}, fault: "Run the processor's migrate command"},
		{refused: map[string]string{"system.parts": "202"}, fault: "busy: "},
	} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			statement, _ := io.ReadAll(r.Body)
			for table, code := range tt.refused {
				if bytes.Contains(statement, []byte("FROM "+table+" ")) {
					w.Header().Set("X-ClickHouse-Exception-Code", code)
					http.Error(w, "Code: "+code+". DB::Exception: page: Not enough privileges.", http.StatusForbidden)
					return
				}
			}
			r.Body = io.NopCloser(bytes.NewReader(statement))
			r.Header.Del("Authorization") // the engine has no user of this name
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(front.Close)
		a, err := Open(strings.Replace(front.URL, "http://", "http://page:x@", 1)+database, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		lacking, err := a.Check(t.Context())
		var fault *Fault
		if (err != nil) != (tt.fault != "") || err != nil && (!errors.As(err, &fault) || !strings.Contains(err.Error(), tt.fault)) {
			t.Errorf("%v: %v, want %q", tt.refused, err, tt.fault)
		}
		if len(lacking) != len(tt.want) {
			t.Fatalf("%v: %q", tt.refused, lacking)
		}
		for i, want := range tt.want {
			if !strings.Contains(lacking[i], want) {
				t.Errorf("%v: %q, want %q", tt.refused, lacking[i], want)
			}
		}
	}
}
