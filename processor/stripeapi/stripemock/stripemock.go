// Package stripemock gives tests a server that answers by Stripe's own OpenAPI description: what it
// takes and gives is what the API takes and gives.
package stripemock

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"tributary/deploy/local/chdb/chdbtest"
)

// Key is one that the server takes.
const Key = "sk_test_123"

// Start returns the address of a server, http://127.0.0.1:…, and ends it when the test ends.
// Without the program the test is skipped, or fails where CI_REAL_SERVICES=1.
func Start(tb testing.TB) string {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	program := filepath.Join(filepath.Dir(here), "../../../.tools/bin/stripe-mock")
	if _, err := os.Stat(program); err != nil {
		if os.Getenv(chdbtest.RequireVariable) == "1" {
			tb.Fatal("stripe-mock is missing: run make tools")
		}
		tb.Skip("stripe-mock is missing: run make tools")
	}
	mock := exec.Command(program, "-http-addr", "127.0.0.1:0")
	output, err := mock.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := mock.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = mock.Process.Kill(); _ = mock.Wait() })
	address := make(chan string, 1)
	go func() {
		listening := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			if a := listening.FindString(lines.Text()); a != "" {
				address <- a
			}
		}
	}()
	select {
	case a := <-address:
		return "http://" + a
	case <-time.After(30 * time.Second):
		tb.Fatal("stripe-mock does not say where it listens")
	}
	return ""
}
