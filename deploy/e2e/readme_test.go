package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWorkspacesOfReadme: the workspaces file that README.md shows starts under make run as it
// stands.
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
	s := newSite(t)
	s.start("--workspaces", file)
	s.waitReady()
}
