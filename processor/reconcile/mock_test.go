package reconcile

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"tributary/deploy/local/chdb/chdbtest"
)

// stripe-mock answers by Stripe's own OpenAPI description: what it takes and gives is what the API takes and gives.
func TestAgainstStripeMock(t *testing.T) {
	program, err := filepath.Abs("../../.tools/bin/stripe-mock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv(chdbtest.RequireVariable) == "1" {
			t.Fatal("stripe-mock is missing: run make tools")
		}
		t.Skip("stripe-mock is missing: run make tools")
	}
	mock := exec.Command(program, "-http-addr", "127.0.0.1:0")
	said, err := mock.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := mock.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mock.Process.Kill(); _ = mock.Wait() }()
	address := make(chan string, 1)
	go func() {
		listening := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if a := listening.FindString(lines.Text()); a != "" {
				address <- a
			}
		}
	}()
	var base string
	select {
	case base = <-address:
	case <-time.After(30 * time.Second):
		t.Fatal("stripe-mock does not say where it listens")
	}
	period, err := NewPeriod("2026-03-01", "2026-03-31")
	if err != nil {
		t.Fatal(err)
	}
	api := &API{Client: client(t, "http://"+base, "sk_test_123")}
	var list []Transaction
	if err := api.Transactions(t.Context(), period, func(x Transaction) error { list = append(list, x); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 || list[0].ID == "" || list[0].Source == "" || list[0].Currency == "" || list[0].Category == "" {
		t.Errorf("%+v", list)
	}
}
