package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tributary/deploy/race"
)

// TestWorkspacesOfReadme: the workspaces file that README.md shows starts under make run as it
// stands. Under the race detector the programs that read it only check it.
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
