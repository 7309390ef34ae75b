package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tributary/deploy/race"
)

// TestWorkspacesOfReadme: the workspaces file that README.md shows starts under make run with a secret
// key of one's own. Under the race detector the programs that read it only check it.
func TestWorkspacesOfReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "```json\n[{\"id\": \"acme\"")
	text, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatal("README.md shows no workspaces file")
	}
	const own = "sk_7c1f0a9be2d34856"
	text = strings.Replace(text, "sk_put_your_own_here", own, 1)
	if !strings.Contains(text, own) {
		t.Fatal("README.md shows no place for a secret key")
	}
	file := filepath.Join(t.TempDir(), "workspaces.json")
	if err := os.WriteFile(file, []byte("[{\"id\": \"acme\""+text), 0o600); err != nil {
		t.Fatal(err)
	}
	if race.Enabled {
		for _, check := range [][]string{{"ingest", "clicks"}, {"ingest", "stripe"}, {"processor", "run"}} {
			c := exec.Command(filepath.Join(build(t), check[0]), check[1], "--check", "--workspaces", file)
			c.Env = append(os.Environ(), "TRIBUTARY_KAFKA_SEEDS=127.0.0.1:1", "TRIBUTARY_CLICKHOUSE_DSN=http://127.0.0.1:1/x",
				"TRIBUTARY_STRIPE_WEBHOOK_SECRETS="+webhookSecret, "TRIBUTARY_EMAIL_KEY=em_0123456789abcdef")
			if said, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", check, err, said)
			}
		}
		return
	}
	s := newSite(t)
	s.start("--workspaces", file)
	s.waitReady()
}
