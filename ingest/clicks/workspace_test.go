package clicks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/schemas"
)

func TestLoadWorkspaces(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "workspaces.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := file(`[{"id":"acme","publishable_keys":["pk"],"secret_keys":["sk_0123456789abc"],"hostnames":["www.Acme.example","münchen.example"]}]`)
	d, err := LoadWorkspaces(path, "another")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"sk_0123456789abc", "another"} {
		if w := d.bySecret([]byte(key)); w == nil || w.ID != "acme" {
			t.Errorf("bySecret(%s) = %v", key, w)
		}
	}
	if d.bySecret([]byte("pk")) != nil || d.bySecret(nil) != nil {
		t.Error("a publishable key, or none, is taken for a secret one")
	}
	for _, host := range []string{"acme.example", "www.acme.example", "xn--mnchen-3ya.example"} {
		if w, f := d.byPublishable([]byte("pk"), host, false); f != nil || !w.allowsHost(host) {
			t.Errorf("%s is not allowed: %v", host, f)
		}
	}
	if _, err := LoadWorkspaces(file(`[{"id":"a","hostname":["x.example"]}]`), ""); err == nil ||
		!strings.Contains(err.Error(), "[0].hostname") {
		t.Errorf("a misspelt field: %v", err)
	}
	if _, err := LoadWorkspaces(file(`[{"id":"a"},{"id":"b"}]`), "sk"); err == nil {
		t.Error("a secret key of nobody in particular")
	}
	if _, err := LoadWorkspaces("/does/not/exist", ""); err == nil {
		t.Error("a missing file")
	}
}

func TestAllowsHost(t *testing.T) {
	w := &Workspace{Workspace: schemas.Workspace{Hostnames: []string{"shop.example", "*.apps.example"}}}
	for host, want := range map[string]bool{"shop.example": true, "www.shop.example": true, "a.shop.example": false,
		"a.apps.example":   true,
		"a.b.apps.example": true, "apps.example": false, "evilapps.example": false, "": false} {
		if got := w.allowsHost(host); got != want {
			t.Errorf("allowsHost(%q) = %v, want %v", host, got, want)
		}
	}
}

// A reload takes keys away and gives new ones; a budget that is spent stays spent.
func TestReplace(t *testing.T) {
	d := NewDirectory([]schemas.Workspace{{ID: "a", PublishableKeys: []string{"old"}, EventsPerSecond: 1},
		{ID: "b", PublishableKeys: []string{"b"}, EventsPerSecond: 1}})
	now := time.Now()
	for _, key := range []string{"old", "b"} {
		w, _ := d.byPublishable([]byte(key), "", false)
		if _, ok := w.limit.take(now, 1000); !ok {
			t.Fatal("a full budget is refused")
		}
	}
	d.Replace(NewDirectory([]schemas.Workspace{{ID: "a", PublishableKeys: []string{"new"}, EventsPerSecond: 1},
		{ID: "b", PublishableKeys: []string{"b"}, EventsPerSecond: 2}}))
	if _, f := d.byPublishable([]byte("old"), "", false); f != errUnknownKey {
		t.Errorf("a withdrawn key: %v", f)
	}
	w, f := d.byPublishable([]byte("new"), "", false)
	if f != nil {
		t.Fatalf("a new key: %v", f)
	}
	if _, ok := w.limit.take(now, 1); ok {
		t.Error("a reload has filled the budget")
	}
	w, _ = d.byPublishable([]byte("b"), "", false)
	if _, ok := w.limit.take(now, 1); !ok {
		t.Error("the new rate is not in force")
	}
}

func TestConfig(t *testing.T) {
	c := Config{IdentitySecret: []byte("short"), MaxEventBytes: 2000, MaxConnsPerIP: -1}
	err := c.Validate()
	if err == nil {
		t.Fatal("no faults")
	}
	for _, want := range []string{"header limit", "body limit", "batch limit", "concurrency", "connections per address",
		"event limit", "read timeout", "idle timeout", "identity secret"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
	c = Default()
	c.ReadTimeout = time.Millisecond
	if c.Validate() == nil || Default().Validate() != nil {
		t.Error("the documented limits are not valid, or a useless one is")
	}
}

func TestWorkspaces(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	tests := []struct {
		name, body string
		headers    []string
		status     int
		code       string
		workspace  string
	}{
		{"by key and Origin", `{"key":"pk_acme","url":"https://acme.example/"}`, []string{"Origin: https://acme.example"},
			200, "", "acme"},
		{"www is no other site", `{"key":"pk_acme","url":"https://acme.example/"}`,
			[]string{"Origin: https://www.ACME.example:8443"}, 200, "", "acme"},
		{"subdomain", `{"key":"pk_acme","url":"https://acme.example/"}`, []string{"Origin: https://shop.acme.example"}, 200,
			"", "acme"},
		{"by Referer", `{"key":"pk_acme","url":"https://acme.example/"}`, []string{"Referer: https://acme.example/page"}, 200,
			"", "acme"},
		{"a sandboxed frame has a Referer", `{"key":"pk_acme","link_id":"l"}`,
			[]string{"Origin: null", "Referer: https://acme.example/page"}, 200, "", "acme"},
		{"no key, but a known site", `{"link_id":"l"}`, []string{"Origin: https://acme.example"}, 200, "", "acme"},
		{"key as a bearer token", `{"link_id":"l"}`, []string{"Authorization: Bearer pk_acme",
			"Origin: https://acme.example"}, 200, "", "acme"},
		{"listed scheme", `{"key":"pk_acme","url":"acmeapp://open?x=1"}`, []string{"Origin: https://acme.example"}, 200, "",
			"acme"},
		{"another site", `{"key":"pk_acme","url":"https://acme.example/"}`, []string{"Origin: https://evil.example",
			"Referer: https://acme.example/"}, 403, "host_not_allowed", ""},
		{"a site that ends alike", `{"key":"pk_acme","link_id":"l"}`, []string{"Origin: https://evilacme.example"}, 403,
			"host_not_allowed", ""},
		{"a site before the @", `{"key":"pk_acme","link_id":"l"}`, []string{"Referer: https://acme.example@evil.example/"},
			403, "host_not_allowed", ""},
		{"no site", `{"key":"pk_acme","link_id":"l"}`, nil, 403, "host_not_allowed", ""},
		{"unknown key", `{"key":"pk_none","link_id":"l"}`, []string{"Origin: https://acme.example"}, 401, "unknown_key", ""},
		{"no key, no site", `{"link_id":"l"}`, nil, 401, "no_key", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := e.do("POST", "/v1/click", tt.body, tt.headers...)
			e.want(a, tt.status, tt.code)
			if code := a.Header.Get("Tributary-Error"); code != tt.code {
				t.Errorf("Tributary-Error: %q, want %q", code, tt.code)
			}
			if tt.status == 200 {
				if c := e.nextClick(); c.Workspace != tt.workspace {
					t.Errorf("workspace %q, want %q", c.Workspace, tt.workspace)
				}
			}
		})
	}
	e.nothing()
}
