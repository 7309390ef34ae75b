package main

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Whoever is ready says so in the first line; a second one warns of what somebody should look at.
func TestReadyzWarns(t *testing.T) {
	var fault error
	warning := ""
	ops, err := listenOps("127.0.0.1:0", prometheus.NewRegistry(), func() error { return fault }, func() string { return warning })
	if err != nil {
		t.Fatal(err)
	}
	defer ops.stop()
	f := func(status int, body string) {
		t.Helper()
		response, err := http.Get("http://" + ops.addr() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status || string(text) != body {
			t.Errorf("%d %q, %v; want %d %q", response.StatusCode, text, err, status, body)
		}
	}
	f(http.StatusOK, "ready\n")
	warning = "twd has no rate"
	f(http.StatusOK, "ready\nwarning: twd has no rate\n")
	fault = errors.New("not yet")
	f(http.StatusServiceUnavailable, "not yet\n")
}
