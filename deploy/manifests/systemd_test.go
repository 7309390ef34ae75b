package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Every unit starts its program again for as long as it takes, and collects garbage before the
// kernel kills it. systemd knows all that it says, and finds it well protected.
func TestSystemd(t *testing.T) {
	units, err := filepath.Glob("../systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		has := func(key string) string {
			m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(text)
			if m == nil {
				t.Errorf("%s has no %s", unit, key)
				return ""
			}
			return string(m[1])
		}
		most, err := resource.ParseQuantity(has("MemoryMax") + "i")
		if err == nil {
			err = collects(has("Environment=GOMEMLIMIT"), most.Value())
		}
		if err != nil {
			t.Errorf("%s: %v", unit, err)
		}
		if has("Restart") != "always" || has("StartLimitIntervalSec") != "0" {
			t.Errorf("%s gives up after some starts", unit)
		}
		// Go reads net.core.somaxconn in /proc/sys for each listener.
		if strings.Contains(string(text), "\nProcSubset=pid") {
			t.Errorf("%s lets only 128 connections wait to be accepted", unit)
		}
		// ExecStartPre has no longer than a start.
		if strings.Contains(string(text), "migrate") && has("TimeoutStartSec") != "infinity" {
			t.Errorf("%s kills a migration that takes long", unit)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is missing (hint: apt-get install systemd): the units are not verified by systemd")
	}
	out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "/usr/local/bin/") { // the programs are not installed here
			t.Errorf("systemd-analyze verify: %v: %s", err, line)
		}
	}
	args := append([]string{"security", "--offline=yes", "--threshold=20", "--no-pager"}, units...)
	if out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
