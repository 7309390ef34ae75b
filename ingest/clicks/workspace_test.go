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
