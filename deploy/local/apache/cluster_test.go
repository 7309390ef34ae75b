//go:build unix

package apache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/deploy/process"
)

func TestInstallSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Install(t.Context(), t.TempDir())
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "java is not on the PATH (apt-get install") {
		t.Errorf("without java: %v", err)
	}
	java := filepath.Join(t.TempDir(), "java")
	if err := os.WriteFile(java, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(java))
	_, err = Install(t.Context(), t.TempDir())
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "mvn is not on the PATH (apt-get install") {
		t.Errorf("without mvn: %v", err)
	}
	// What was installed before needs no Maven.
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, Version), 0o755); err != nil {
		t.Fatal(err)
	}
	classpath, err := Install(t.Context(), dir)
	if err != nil || classpath != filepath.Join(dir, Version, "*") {
		t.Errorf("installed before: %q, %v", classpath, err)
	}
}

func TestAddressesAreNobodyElses(t *testing.T) {
	addresses, err := process.Addresses(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, a := range addresses {
		if seen[a] {
			t.Errorf("%s is given twice", a)
		}
		seen[a] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d addresses, want 20", len(seen))
	}
}

// Of random ids in base64, one of 64 begins with a dash, which kafka-storage takes for a flag.
func TestClusterIDsAreNoFlags(t *testing.T) {
	for range 2000 {
		if id := clusterID(); strings.HasPrefix(id, "-") || len(id) != 22 {
			t.Fatalf("an id is %q, want 22 characters of which the first is no dash", id)
		}
	}
}
