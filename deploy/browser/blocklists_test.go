//go:build proof

package browser

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tributary/deploy/tools"
)

// The public block lists, as Debian packages them with uBlock Origin, let the script and its
// requests through, whether the edge is on the site's domain or on another. From another they stop
// sendBeacon, which is why the script tries it after fetch (TestKindsOfRequests). Of the addresses
// of other programmes' scripts they know one, on any host.
func TestBlockLists(t *testing.T) {
	t.Parallel()
	dir, err := tools.Dir()
	if err != nil {
		t.Fatal(err)
	}
	lists := filepath.Join(dir, "ublock", "usr/share/chromium/extensions/ublock-origin/assets")
	if _, err := os.Stat(lists); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v (hint: on Debian, make lists)", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "testdata/blocklists.mjs")
	node.Env = append(os.Environ(), "LISTS="+lists, "PACKAGES="+packages(t))
	output, err := node.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	verdicts := strings.Split(strings.TrimSpace(string(output)), "\n")
	last := len(verdicts) - 1
	if len(verdicts) != 33 || verdicts[last] != "known tracker stopped" {
		t.Fatalf("verdicts:\n%s", output)
	}
	for _, verdict := range verdicts[:last] {
		stopped := strings.HasPrefix(verdict, "third ping ") || strings.Contains(verdict, " /affiliate-tracker.js ")
		if passes := strings.HasSuffix(verdict, " passes"); passes == stopped {
			t.Error(verdict)
		}
	}
}
