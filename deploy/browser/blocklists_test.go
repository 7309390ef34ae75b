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
// sendBeacon, which is why the script tries it after fetch (TestKindsOfRequests).
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
	if len(verdicts) != 15 || verdicts[14] != "known tracker stopped" {
		t.Fatalf("verdicts:\n%s", output)
	}
	for _, verdict := range verdicts[:14] {
		beacon := strings.HasPrefix(verdict, "third ping ")
		if passes := strings.HasSuffix(verdict, " passes"); passes == beacon {
			t.Error(verdict)
		}
	}
}
