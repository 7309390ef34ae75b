package clicks

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestRefused(t *testing.T) {
	e := newEdge(t, nil)
	long := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"no JSON", "POST", "/v1/click", `{"url":`, nil, 400, "bad_json"},
		{"empty", "POST", "/v1/click", ``, nil, 400, "bad_json"},
		{"an array", "POST", "/v1/click", `[]`, nil, 400, "bad_json"},
		{"no target", "POST", "/v1/click", `{"key":"pk"}`, nil, 400, "no_target"},
		{"script", "POST", "/v1/click", `{"url":"javascript:alert(1)"}`, nil, 400, "bad_url"},
		{"data", "POST", "/v1/click", `{"url":"data:text/html,x"}`, nil, 400, "bad_url"},
		{"no scheme", "POST", "/v1/click", `{"url":"shop.example"}`, nil, 400, "bad_url"},
		{"no host", "POST", "/v1/click", `{"url":"https:///x"}`, nil, 400, "bad_url"},
		{"a port alone", "POST", "/v1/click", `{"url":"https://:80/x"}`, nil, 400, "bad_url"},
		{"a user alone", "POST", "/v1/click", `{"url":"https://user:a@"}`, nil, 400, "bad_url"},
		{"a user and a port", "POST", "/v1/click", `{"url":"https://u@:80?x"}`, nil, 400, "bad_url"},
		{"line break", "POST", "/v1/click", `{"url":"https://a.example/\r\nX: y"}`, nil, 400, "bad_url"},
		{"app scheme that is not listed", "POST", "/v1/click", `{"url":"acmeapp://x"}`, nil, 400, "bad_url"},
		{"long url", "POST", "/v1/click", `{"url":"https://a.example/` + long(9000) + `"}`, nil, 400, "too_long"},
		{"long id", "POST", "/v1/click", `{"link_id":"` + long(201) + `"}`, nil, 400, "too_long"},
		{"time", "POST", "/v1/click", `{"link_id":"l","event_time":"yesterday"}`, nil, 400, "bad_time"},
		{"trigger", "POST", "/v1/click", `{"link_id":"l","trigger":"telepathy"}`, nil, 400, "bad_trigger"},
		{"consent", "POST", "/v1/click", `{"link_id":"l","consent":"perhaps"}`, nil, 400, "bad_consent"},
		{"field of another type", "POST", "/v1/click", `{"link_id":{"a":1}}`, nil, 400, "bad_field"},
		{"17 properties", "POST", "/v1/click",
			`{"link_id":"l","properties":{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":"","j":"","k":"","l":"","m":"","n":"","o":"","p":"","q":""}}`, nil, 400, "bad_properties"},
		{"nested properties", "POST", "/v1/click", `{"link_id":"l","properties":{"a":{}}}`, nil, 400, "bad_properties"},
		{"long property", "POST", "/v1/click", `{"link_id":"l","properties":{"a":"` + long(501) + `"}}`,
			nil, 400, "too_long"},
		{"large event", "POST", "/v1/click", `{"link_id":"l","x":"` + long(70_000) + `"}`, nil, 413, "too_large"},
		{"form", "POST", "/v1/click", `{"link_id":"l"}`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415,
			"bad_content_type"},
		{"compressed", "POST", "/v1/click", `{"link_id":"l"}`, []string{"Content-Encoding: gzip"}, 415, "bad_content_type"},
		{"batch of another type", "POST", "/v1/clicks", `[]`, []string{"Content-Type: text/html"}, 415, "bad_content_type"},
		{"GET a click", "GET", "/v1/click", ``, nil, 405, "method_not_allowed"},
		{"DELETE", "DELETE", "/v1/click", ``, nil, 405, "method_not_allowed"},
		{"POST the pixel", "POST", "/v1/click.gif", ``, nil, 405, "method_not_allowed"},
		{"nowhere", "GET", "/", ``, nil, 404, "not_found"},
		{"nowhere with PUT", "PUT", "/x", ``, nil, 405, "method_not_allowed"},
		{"pixel without target", "GET", "/v1/click.gif", ``, nil, 400, "no_target"},
		{"lead without key", "POST", "/v1/leads", `{"external_id":"u1"}`, nil, 401, "no_secret_key"},
		{"preflight of leads", "OPTIONS", "/v1/leads", ``, nil, 405, "method_not_allowed"},
		{"100 parameters", "GET", "/v1/click.gif?" + strings.Repeat("a&", 99), ``, nil, 400, "no_target"},
		{"101 parameters", "GET", "/v1/click.gif?" + strings.Repeat("a&", 100), ``, nil, 431, "headers_too_large"},
		{"large headers", "GET", "/t.js", ``, []string{"Cookie: " + long(20_000)}, 431, "headers_too_large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := testutil.ToFloat64(e.server.metrics.rejected[tt.code])
			a := e.do(tt.method, tt.path, tt.body, tt.headers...)
			e.want(a, tt.status, tt.code)
			if tt.status == 405 && a.Header.Get("Allow") == "" {
				t.Error("no Allow header")
			}
			if got := testutil.ToFloat64(e.server.metrics.rejected[tt.code]) - before; got != 1 {
				t.Errorf("counted %v times, want once", got)
			}
		})
	}
	// 16 KiB of headers are for the cookies of advertising networks.
	e.want(e.do("GET", "/t.js", "", "Cookie: "+long(14_000)), 200, "")
	e.nothing()
}

func TestLargeBody(t *testing.T) {
	e := newEdge(t, nil)
	a := e.do("POST", "/v1/clicks", strings.Repeat(" ", 10<<20))
	e.want(a, 413, "too_large")
	if !a.Close {
		t.Error("the connection stays open in the middle of a body")
	}
}

func TestContentTypes(t *testing.T) {
	e := newEdge(t, nil)
	for _, ct := range []string{"text/plain;charset=UTF-8", "application/json; charset=utf-8", "Text/Plain", ""} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", e.url+"/v1/click", strings.NewReader(`{"link_id":"l"}`))
		if ct != "" {
			req.Header.Set("Content-Type", ct)
		}
		res, err := e.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("%q: status %d", ct, res.StatusCode)
		}
	}
	e.records(4)
}

func TestRateLimit(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	var lines strings.Builder
	for range 1000 { // the burst
		lines.WriteString(`{"key":"pk_zen","link_id":"l"}` + "\n")
	}
	a := e.do("POST", "/v1/clicks", lines.String())
	e.want(a, 200, "")
	a = e.do("POST", "/v1/click", `{"key":"pk_zen","link_id":"l"}`)
	e.want(a, 429, "rate_limited")
	if a.Header.Get("Retry-After") == "" || a.Header.Get("Retry-After") == "0" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	// imports are not limited
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`, "Authorization: Bearer sk_zen"), 200, "")
}
