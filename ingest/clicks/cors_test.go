package clicks

import (
	"strings"
	"testing"
)

// wantReadable checks that a script of origin can read the answer in every credentials mode (Fetch
// standard, CORS check).
func wantReadable(t *testing.T, a answer, origin string) {
	t.Helper()
	h := a.Header
	if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != "true" ||
		!strings.Contains(h.Get("Vary"), "Origin") {
		t.Errorf("a script of %s cannot read status %d: %v", origin, a.StatusCode, h)
	}
}

// Every answer that a browser can get is readable there, refusals too: they are for the site's
// developer.
func TestCORS(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	for _, tt := range []struct {
		method, path, body, contentType string
		status                          int
	}{
		{"POST", "/v1/click", `{"key":"pk_acme","link_id":"l"}`, "application/json", 200},
		{"POST", "/v1/click", `{"key":"pk_acme","link_id":"l"}`, "text/plain;charset=UTF-8", 200},
		{"POST", "/v1/click", `{"key":"pk_acme","link_id":"l"}`, "", 200},
		{"POST", "/v1/clicks", `[{"key":"pk_acme","link_id":"l"}]`, "application/json", 200},
		{"POST", "/v1/clicks", `{"key":"pk_acme","link_id":"l"}`, "application/x-ndjson", 200},
		{"GET", "/v1/click.gif?key=pk_acme&link_id=l", "", "", 200},
		{"POST", "/track/click", `{"domain":"d","key":"k"}`, "application/json", 200},
		// a beacon of URLSearchParams
		{"POST", "/v1/click", `key=pk_acme&link_id=l`, "application/x-www-form-urlencoded", 415},
		{"POST", "/v1/click", `--x--`, "multipart/form-data; boundary=x", 415}, // and of FormData
		{"POST", "/v1/click", `{"key":"pk_acme"}`, "text/plain", 400},
		{"POST", "/v1/click", `{"key":"pk_none","link_id":"l"}`, "text/plain", 401},
		{"POST", "/v1/click", strings.Repeat(" ", 70_000), "text/plain", 413},
		{"GET", "/v1/click.gif?key=pk_acme", "", "", 400},
		{"DELETE", "/v1/click", "", "", 405},
		{"GET", "/v1/clock", "", "", 404},
	} {
		a := e.do(tt.method, tt.path, tt.body, "Origin: https://acme.example", "Content-Type: "+tt.contentType)
		if a.StatusCode != tt.status {
			t.Errorf("%s %s as %q: %d, want %d: %s", tt.method, tt.path, tt.contentType, a.StatusCode, tt.status, a.body)
		}
		wantReadable(t, a, "https://acme.example")
		if refused := a.Header.Get("Tributary-Error") != ""; refused != (tt.status != 200) {
			t.Errorf("%s %s: status %d with Tributary-Error %q", tt.method, tt.path, a.StatusCode,
				a.Header.Get("Tributary-Error"))
		}
	}
	e.records(7)
}

func TestPreflight(t *testing.T) {
	e := newEdge(t, nil)
	for path, methods := range map[string]string{"/v1/click": "POST, OPTIONS", "/v1/clicks": "POST, OPTIONS",
		"/track/click": "POST, OPTIONS",
		"/track/visit": "POST, OPTIONS", "/track/lead": "POST, OPTIONS", "/v1/click.gif": "GET, HEAD, OPTIONS"} {
		a := e.do("OPTIONS", path, "", "Origin: https://a.example", "Access-Control-Request-Method: POST")
		if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Methods") != methods ||
			a.Header.Get("Access-Control-Max-Age") != "86400" ||
			a.Header.Get("Access-Control-Allow-Headers") != "Content-Type, Authorization" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
		wantReadable(t, a, "https://a.example")
		a = e.do("OPTIONS", path, "", "Origin: null", "Access-Control-Request-Headers: content-type,traceparent")
		if a.Header.Get("Access-Control-Allow-Headers") != "content-type,traceparent" {
			t.Errorf("%s: %v", path, a.Header)
		}
		wantReadable(t, a, "null")
	}
}
