package clicks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoadWorkspaces(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "workspaces.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	d, err := LoadWorkspaces(file(`[{"id":"acme","publishable_keys":["pk"],"secret_keys":["sk"],"hostnames":["www.Acme.example"],"stripe_accounts":["acct_1"],"a_later_field":1}]`), "another")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"sk", "another"} {
		if w := d.bySecret([]byte(key)); w == nil || w.ID != "acme" {
			t.Errorf("bySecret(%s) = %v", key, w)
		}
	}
	if d.bySecret([]byte("pk")) != nil || d.bySecret(nil) != nil {
		t.Error("a publishable key, or none, opens the secret door")
	}
	if !d.all[0].allowsHost("acme.example") {
		t.Error("hostnames are compared with their case or www")
	}

	bad := map[string]string{
		`{`:  "JSON array",
		`[]`: "none is described",
		`[{"id":""},{"id":"a","publishable_keys":["k","k",""]},{"id":"a","secret_keys":["k",""],"hostnames":["https://x","*.","a:80"],"schemes":["javascript"],"events_per_second":-1}]`: "id has 0 bytes|used twice|hostname|scheme|negative|both publishable and secret",
	}
	for text, want := range bad {
		_, err := LoadWorkspaces(file(text), "")
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		for _, w := range strings.Split(want, "|") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not reported in:\n%v", w, err)
			}
		}
	}
	if _, err := LoadWorkspaces(file(`[{"id":"a"},{"id":"b"}]`), "sk"); err == nil {
		t.Error("a secret key of nobody in particular")
	}
	if _, err := LoadWorkspaces("/does/not/exist", ""); err == nil {
		t.Error("a missing file")
	}
}

func TestAllowsHost(t *testing.T) {
	w := &Workspace{Hostnames: []string{"shop.example", "*.apps.example"}}
	for host, want := range map[string]bool{"shop.example": true, "www.shop.example": true, "a.shop.example": false, "a.apps.example": true,
		"a.b.apps.example": true, "apps.example": false, "evilapps.example": false, "": false} {
		if got := w.allowsHost(host); got != want {
			t.Errorf("allowsHost(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	c := Config{IdentitySecret: []byte("short"), MaxEventBytes: 2000, MaxConnsPerIP: -1}
	err := c.Validate()
	if err == nil {
		t.Fatal("no faults")
	}
	for _, want := range []string{"header limit", "body limit", "batch limit", "concurrency", "connections per address", "event limit", "read timeout", "idle timeout", "identity secret"} {
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
