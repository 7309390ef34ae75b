package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/processor/reconcile"
)

func TestFaultsAreReportedAtOnce(t *testing.T) {
	twice := filepath.Join(t.TempDir(), "workspaces.json")
	if err := os.WriteFile(twice, []byte(
		`[{"id":"a","stripe_accounts":["acct_1"]},{"id":"b","stripe_accounts":["acct_1"]},{"id":" "}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	err := execute(t.Context(), []string{"run", "--check", "--fx-source", "bank:somewhere", "--workspaces", twice,
		"--rewind=-1s", "--kafka-seeds", "nowhere", "--kafka-sasl", "plain"}, io.Discard, io.Discard)
	if err == nil {
		t.Fatal("four faults are taken for none")
	}
	for _, want := range []string{"bank", `"acct_1" belongs to "a" and "b"`, "[2].id", "--rewind",
		`"nowhere" is not host:port`, "needs a user and a password"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
}

// A file of rates that cannot be read stops no processor that runs, because what is stored counts;
// a check says so.
func TestCheckReadsFilesOfRates(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "rates.csv")
	if err := os.WriteFile(bad, []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "none.zip")
	err := execute(t.Context(), []string{"run", "--check", "--fx-source", "file:" + bad + ",ecb:" + missing},
		io.Discard, io.Discard)
	if err == nil {
		t.Fatal("two files that cannot be read are sound")
	}
	for _, want := range []string{bad, missing, "(hint: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing:\n%v", want, err)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := execute(t.Context(), []string{"run", "--check"}, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
}

// A check that is asked to connect says of both, Kafka and ClickHouse, that they are not there.
func TestCheckConnects(t *testing.T) {
	err := execute(t.Context(), []string{"run", "--check", "--connect", "--kafka-seeds", "127.0.0.1:1",
		"--clickhouse-dsn", "http://127.0.0.1:1/tributary"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "reach Kafka") || !strings.Contains(err.Error(), "reach ClickHouse") {
		t.Error(err)
	}
}

// A DSN that names no server or no database is refused before anything is asked, and not repeated.
func TestClickHouseDSN(t *testing.T) {
	for _, dsn := range []string{"hush", "http://u:hush@127.0.0.1:8123", "http://u:hush@127.0.0.1:8123/",
		"http://hush %zz/x"} {
		err := execute(t.Context(), []string{"run", "--check", "--clickhouse-dsn", dsn}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "names no server and database (hint: ") ||
			strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}

// The password of ClickHouse's user may stand in a file, for every command that uses ClickHouse.
func TestClickHousePasswordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("se/same\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dsn, want := range map[string]string{
		"http://writer@127.0.0.1:8123/tributary":      "http://writer:se%2Fsame@127.0.0.1:8123/tributary",
		"http://writer@a:8123,b:8123/tributary?x=1":   "http://writer:se%2Fsame@a:8123,b:8123/tributary?x=1",
		"http://writer@[::1]:8123/tributary":          "http://writer:se%2Fsame@[::1]:8123/tributary",
		"http://127.0.0.1:8123/tributary":             "",
		"http://writer:pass@127.0.0.1:8123/tributary": "",
	} {
		s := clickhouseSettings{ClickhouseDSN: dsn, PasswordFile: file}
		if err := s.AfterApply(); (err != nil) != (want == "") || err == nil && s.ClickhouseDSN != want {
			t.Errorf("%s: %s %v", dsn, s.ClickhouseDSN, err)
		}
	}
	if dsn, err := inDatabase("http://a:8123,b:8123/tributary?database=x", "shadow"); err != nil ||
		dsn != "http://a:8123,b:8123/shadow" {
		t.Errorf("in another database: %q, %v", dsn, err)
	}
	if dsn, err := withSettings("http://a:8123,b:8123/tributary?read_timeout=5m", map[string]string{
		"read_timeout": readTimeout, "max_threads": "1"}); err != nil ||
		dsn != "http://a:8123,b:8123/tributary?max_threads=1&read_timeout=5m" {
		t.Errorf("with settings: %q, %v", dsn, err)
	}
	err := execute(t.Context(), []string{"migrate", "--clickhouse-password-file", file + ".none"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "clickhouse password") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Whatever differs or is not proved ends reconcile with 2, what is proved with 0.
func TestExitStatusOfReconcile(t *testing.T) {
	for finding, want := range map[reconcile.Finding]int{
		reconcile.Missing: 2, reconcile.Unproven: 2, reconcile.Amount: 2, reconcile.Currency: 2, reconcile.Day: 2,
		reconcile.Paired: 2, reconcile.Unnamed: 2, reconcile.Uncomparable: 2, reconcile.Unread: 2,
		reconcile.Outside: 0, reconcile.Failed: 0,
	} {
		got, err := 0, (&reconcile.Report{Differences: []reconcile.Difference{{Finding: finding}}}).Err()
		if err != nil {
			got = exitStatus(errors.Join(nil, err))
		}
		if got != want {
			t.Errorf("%s: %d, want %d", finding, got, want)
		}
	}
	if got := exitStatus(errors.New("no ClickHouse")); got != 1 {
		t.Errorf("a failure: %d, want 1", got)
	}
}
