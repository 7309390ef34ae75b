package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestDashboardListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "[::]:0", "example.com:0", "127.0.0.1"} {
		err := execute(t.Context(), []string{"dashboard", "--dashboard-addr", address}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "hint: give") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The page is there before the database is.
func TestDashboardServesItsPage(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- execute(ctx, []string{"dashboard", "--dashboard-addr", address}, io.Discard, io.Discard)
	}()
	var answer *http.Response
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer, err = http.Get("http://" + address + "/"); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusOK {
		t.Errorf("the page answers %s", answer.Status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
