package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/deploy/local/chdb/chdbtest"
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

// A request that waits for longer than a day would be due at once, and done again for ever
// (clickhouse.Deferred).
func TestReplicaLagIsShort(t *testing.T) {
	for lag, want := range map[string]bool{"-1s": false, "0s": true, "6h": true, "6h1s": false, "12h": false} {
		err := execute(t.Context(), []string{"run", "--check", "--replica-lag=" + lag}, io.Discard, io.Discard)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "--replica-lag is at most 6h") {
			t.Errorf("%s: %v", lag, err)
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
	for command, want := range map[string]string{"dashboard --check --connect": "check ClickHouse: ask ClickHouse: ",
		"dashboard --connect": "it belongs to --check"} {
		args := append(strings.Fields(command), "--clickhouse-dsn", "http://127.0.0.1:1/tributary", "--dashboard-addr",
			"127.0.0.1:0", "--ops-addr", "127.0.0.1:0")
		if err := execute(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// A DSN that names no server or no database is refused before anything is asked, and not repeated.
func TestClickHouseDSN(t *testing.T) {
	for dsn, want := range map[string]string{
		"hush":                         "names no server and database (hint: ",
		"http://u:hush@127.0.0.1:8123": "names no server and database (hint: ", "http://u:hush@127.0.0.1:8123/": "(hint: ",
		"http://hush %zz/x":                                          "names no server and database (hint: ",
		"mysql://u:hush@127.0.0.1:3306/tributary":                    "protocol is not known (hint: ",
		"htps://u:hush@127.0.0.1:8443/tributary":                     "protocol is not known (hint: ",
		"http://u:hush@127.0.0.1:8123/tributary?secure=true":         "a parameter behind its ? cannot be read (hint: ",
		"https://u:hush@127.0.0.1:8443/tributary?secure=false":       "a parameter behind its ? cannot be read (hint: ",
		"http://u:hush@127.0.0.1:8123/tributary?read_timeout=hush":   "a parameter behind its ? cannot be read (hint: ",
		"http://u:hush@127.0.0.1:8123/hush/tributary":                "or a path (hint: ",
		"http://u:hush@127.0.0.1:8123/System":                        "one of ClickHouse's own",
		"clickhouse://u:hush@127.0.0.1/?database=information_schema": "one of ClickHouse's own",
		"http://u:hush@127.0.0.1:81234/tributary":                    "has no port, or none from 0 to 65535 (hint: ",
		"clickhouse://u:hush@127.0.0.1/tributary":                    "has no port, or none from 0 to 65535 (hint: ",
	} {
		err := execute(t.Context(), []string{"run", "--check", "--clickhouse-dsn", dsn}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}

// https:// is TLS, for the lists of hosts, too.
func TestClickHouseTLS(t *testing.T) {
	for dsn, want := range map[string]string{
		"https://u:p@127.0.0.1:8443/tributary":              "https://u:p@127.0.0.1:8443/tributary?secure=true",
		"https://u@a:8443,b:8443/tributary?dial_timeout=1s": "https://u@a:8443,b:8443/tributary?dial_timeout=1s&secure=true",
		"http://u@a:8123/tributary":                         "http://u@a:8123/tributary",
	} {
		s := clickhouseSettings{ClickhouseDSN: dsn}
		if err := s.AfterApply(); err != nil || s.ClickhouseDSN != want {
			t.Errorf("%s: %s, %v", dsn, s.ClickhouseDSN, err)
		}
	}
}

// Behind an address there may be nobody, a port that somebody else listens at, or one of
// ClickHouse's other protocols. Every command says so within seconds and with a hint.
func TestClickHouseIsElsewhere(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	plain := strings.TrimPrefix(chdbtest.Address(t), "http://")
	for _, command := range []string{
		"migrate", "migrate --print", "roles", "replay rebuild", "audit --since all", "explain pi_1", "fx",
		"erase --customer c",
		"run --check --connect --kafka-seeds 127.0.0.1:1",
	} {
		for _, dsn := range []string{
			"http://u:hush@127.0.0.1:1/tributary", "http://u:hush@" + silent.Addr().String() + "/tributary",
			"clickhouse://u:hush@" + plain + "/tributary", "https://u:hush@" + plain + "/tributary",
		} {
			t.Run(command+" "+dsn, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				err := execute(ctx, append(strings.Fields(command), "--clickhouse-dsn", dsn), io.Discard, io.Discard)
				if ctx.Err() != nil || err == nil || strings.Contains(err.Error(), "hush") ||
					!strings.Contains(err.Error(), "reach ClickHouse: ") ||
					!strings.Contains(err.Error(), "(hint: ") || !strings.Contains(err.Error(), "--clickhouse-dsn names it") {
					t.Errorf("%v (%v)", err, ctx.Err())
				}
			})
		}
	}
}

// A command that a signal ends says so, and nothing of the statement that it was at.
func TestInterrupted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dsn := "http://" + listener.Addr().String() + "/tributary"
	for _, command := range []string{"migrate", "fx", "explain pi_1", "audit --since all", "erase --customer c",
		"replay rebuild"} {
		t.Run(command, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := execute(ctx, append(strings.Fields(command), "--clickhouse-dsn", dsn), io.Discard, io.Discard)
			if err == nil || !strings.HasPrefix(err.Error(), "interrupted (hint: ") {
				t.Error(err)
			}
		})
	}
}

// A command that would do nothing does not say that all is well: a period that holds nothing, a
// workspace that nobody has.
func TestNothingToDo(t *testing.T) {
	write := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	several := write("several.json", `[{"id":"acme"},{"id":"bob"}]`)
	table := write("catalogue.csv", "affiliate_id,link_id\nann,l1\n")
	costs := write("costs.csv", "day,currency,amount\n2026-01-01,eur,1\n")
	for args, want := range map[string]string{
		"audit --since 2999-01-01":                                           "is in the future",
		"replay dead-letters --since 2999-01-01":                             "is in the future",
		"replay range --since 2026-03-02 --until 2026-03-01":                 "is not after --since",
		"replay range --since 2026-03-01T12:00+02:00 --until 2026-03-01":     "is not a time",
		"replay range --since 2026-03-01 --until 2026-03-01":                 "is not after --since",
		"catalogue " + table + " --workspaces " + several:                    "one of acme, bob",
		"catalogue " + table + " --workspace x --workspaces " + several:      "one of acme, bob",
		"credit pi_1 --nobody --reason x --workspaces " + several:            "one of acme, bob",
		"credit pi_1 --nobody --reason x --bots x":                           "unknown flag --bots",
		"reconcile --bots x":                                                 "unknown flag --bots",
		"catalogue " + table + " --bots x":                                   "unknown flag --bots",
		"credit pi_1 --nobody --undo --reason x":                             "can't be used together",
		"credit pi_1 --reason x":                                             "no decision is given",
		"explain pi_1 --workspace default --workspaces " + several:           "one of acme, bob",
		"erase --customer cus_1 --confirm --workspaces " + several:           "one of acme, bob",
		"earnings show --workspaces " + several:                              "one of acme, bob",
		"earnings close 2026-01 --workspace ACME --workspaces " + several:    "one of acme, bob",
		"spend " + costs + " --workspaces " + several:                        "one of acme, bob",
		"spend " + table + " " + costs:                                       "catalogue.csv: line 1",
		"erase --email a@b.c --email-key short":                              "email key",
		"dashboard --check --dashboard-addr :7777 --ops-addr 127.0.0.1:7777": "takes the port of the dashboard addr",
	} {
		err := execute(t.Context(), append(strings.Fields(args), "--clickhouse-dsn", "http://127.0.0.1:1/tributary"),
			io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// The help of a command shows as required what is.
func TestHelp(t *testing.T) {
	var help strings.Builder
	if err := execute(t.Context(), []string{"credit", "--help"}, &help, io.Discard); err != nil {
		t.Fatal(err)
	}
	usage, _, _ := strings.Cut(help.String(), "\n")
	for _, flag := range []string{"--affiliate=ID ", "--nobody "} {
		if strings.Contains(usage+" ", flag) {
			t.Errorf("one of four flags is needed, and %s is shown as required: %s", flag, usage)
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
