package program

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

type grammar struct {
	Serve struct {
		Buffer int `default:"7" placeholder:"N" help:"How many."`
	} `cmd:""`
	Print VersionCommand `cmd:"" name:"version"`
	Users struct {
		List struct{} `cmd:"" default:"withargs"`
		Add  struct {
			Name string `arg:""`
		} `cmd:""`
	} `cmd:""`
	Flags
}

func TestParse(t *testing.T) {
	var out bytes.Buffer
	g := new(grammar)
	command, err := Parse(g, "test", "A test.", &out, &out, []string{"serve", "--log-level", "warn",
		"--log-format", "json"})
	if err != nil || command == nil || g.Serve.Buffer != 7 {
		t.Fatalf("%+v %v", g, err)
	}
	log := g.Logger(&out)
	log.Info("hidden")
	log.Warn("seen")
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, `"msg":"seen"`) {
		t.Errorf("the log says %s", got)
	}
	t.Setenv("TRIBUTARY_VERSION", "1.2.3") // common in images, and not ours
	t.Setenv("TRIBUTARY_BUFFER", "9")
	if _, err := Parse(g, "test", "A test.", &out, &out, []string{"serve"}); err != nil || g.Serve.Buffer != 9 {
		t.Errorf("%+v %v", g, err)
	}
	t.Setenv("TRIBUTARY_TEST_SERVE_BUFFER", "") // none
	if _, err := Parse(g, "test", "A test.", &out, &out, []string{"serve"}); err != nil || g.Serve.Buffer != 9 {
		t.Errorf("%+v %v", g, err)
	}
	t.Setenv("TRIBUTARY_TEST_SERVE_BUFFER", "11") // its own goes first
	if _, err := Parse(g, "test", "A test.", &out, &out, []string{"serve"}); err != nil || g.Serve.Buffer != 11 {
		t.Errorf("%+v %v", g, err)
	}
	out.Reset()
	if command, err := Parse(new(grammar), "test", "A test.", &out, &out, []string{"serve", "--help"}); command != nil ||
		err != nil || !strings.Contains(out.String(), "Default: 7") {
		t.Errorf("%v %v %s", command, err, &out)
	}
	for args, command := range map[string]string{
		"": "test", "walk": "test", "serve --log-level loud": "test serve", "serve --nonsense": "test serve",
	} {
		_, err := Parse(new(grammar), "test", "A test.", io.Discard, io.Discard, strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), "(hint: "+command+" --help)") {
			t.Errorf("%q: %v", args, err)
		}
	}
	for args, want := range map[string]string{
		"srve":             `unexpected argument srve, did you mean "serve"? (hint: test --help)`,
		"users remove":     `unexpected argument remove, expected one of "list", "add" (hint: test users --help)`,
		"users list x":     `unexpected argument x (hint: test users list --help)`,
		"users add ann x":  `unexpected argument x (hint: test users add --help)`,
		"users --nonsense": `unknown flag --nonsense (hint: test users --help)`,
		"serve --buffer":   `--buffer: expected int value but none is given (hint: test serve --help)`,
	} {
		if _, err := Parse(new(grammar), "test", "A test.", io.Discard, io.Discard, strings.Fields(args)); err == nil ||
			err.Error() != want {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

// A misspelt variable is an error and not a flag that is left out.
func TestMisspeltVariables(t *testing.T) {
	type table struct {
		Edge struct {
			Workspaces string
			SpoolDir   string
			Geo        string
			Check      bool
		} `cmd:""`
		Audit struct {
			Workspace string
		} `cmd:""`
	}
	for _, c := range []struct {
		variables string // NAME=VALUE, separated by spaces
		args      string
		meant     string // "": it is no error
	}{
		{"TRIBUTARY_WORKSPACE=w.json", "edge", ""}, // another command of the program has it
		{"TRIBUTARY_WORKSPACEZ=w.json", "edge", "TRIBUTARY_WORKSPACES"},
		{"TRIBUTARY_WORKSAPCES=w.json", "edge", "TRIBUTARY_WORKSPACES"},
		{"TRIBUTARY_WORK_SPACES=w.json", "edge", "TRIBUTARY_WORKSPACES"},
		{"tributary_workspaces=w.json", "edge", "TRIBUTARY_WORKSPACES"},
		{"TRIBUTARY_SPOOLDIR=/s", "edge", "TRIBUTARY_SPOOL_DIR"},
		{"TRIBUTARY_SPOOL_DIRS=/s", "edge --check", "TRIBUTARY_SPOOL_DIR"},
		{"TRIBUTARY_TEST_EDGE_SPOL_DIR=/s", "edge", "TRIBUTARY_TEST_EDGE_SPOOL_DIR"},
		{"TRIBUTARY_SPOOLDIR=/s", "audit", ""},
		{"TRIBUTARY_SPOOLDIR=/s", "edge --spool-dir /t", ""},
		{"TRIBUTARY_SPOOLDIR=/s TRIBUTARY_SPOOL_DIR=/t", "edge", ""},
		{"TRIBUTARY_SPOOLDIR=", "edge", ""},
		{"TRIBUTARY_TO=x TRIBUTARY_GEO_FILES=y TRIBUTARY_TAG=z TRIBUTARY_PORT=tcp://10.0.0.1:80", "edge", ""},
	} {
		t.Run(c.variables+" "+c.args, func(t *testing.T) {
			for _, v := range strings.Fields(c.variables) {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			_, err := Parse(new(table), "test", "A test.", io.Discard, io.Discard, strings.Fields(c.args))
			said := ""
			if err != nil {
				said = err.Error()
			}
			if (c.meant == "") != (err == nil) || c.meant != "" && !strings.Contains(said, "(hint: "+c.meant+"?") {
				t.Errorf("%q, want a hint at %q", said, c.meant)
			}
		})
	}
}

func serveOps(t *testing.T, o *Ops) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = o.Serve(l) }()
	t.Cleanup(func() { _ = o.Shutdown(context.Background()) })
	return "http://" + l.Addr().String()
}

func ask(t *testing.T, address string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func TestOps(t *testing.T) {
	var reason atomic.Pointer[error]
	o := NewOps(NewRegistry(), func(context.Context) error {
		if r := reason.Load(); r != nil {
			return *r
		}
		return nil
	}, func(context.Context) []string { return []string{"two\nlines"} })
	base := serveOps(t, o)
	want := func(path string, change func(*http.Request), code int, text string) {
		t.Helper()
		if gotCode, got := ask(t, base+path, change); gotCode != code || !strings.HasPrefix(got, text) {
			t.Errorf("%s: %d %q, want %d %q", path, gotCode, got, code, text)
		}
	}
	want("/healthz", nil, 200, "ok\n")
	want("/readyz", nil, 200, "ready\nwarning: two lines\n")
	want("/metrics", nil, 200, "# HELP")
	want("/debug/pprof/goroutine?debug=1", nil, 200, "goroutine profile")
	want("/debug/pprof/cmdline", nil, 404, "")
	away := errors.New("kafka\nis away")
	reason.Store(&away)
	want("/readyz", nil, 503, "not ready: kafka is away\nwarning: two lines\n")
	reason.Store(nil)
	o.Stopping()
	want("/readyz", nil, 503, "not ready: stopping\n")

	// A web page, under its own name or under one that points here, reads nothing.
	want("/metrics", func(r *http.Request) { r.Host = "rebind.example:8091" }, 403, "")
	want("/debug/pprof/", func(r *http.Request) { r.Host = "127.0.0.1.example" }, 403, "")
	want("/metrics", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "")
	want("/metrics", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403, "")
	want("/healthz", func(r *http.Request) { r.Host = "localhost:8091" }, 200, "ok\n")
	want("/healthz", func(r *http.Request) { r.Host = "[::1]" }, 200, "ok\n")
	want("/healthz", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }, 200, "ok\n")
}

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

// A reload happens on a change, on SIGHUP and not otherwise; a failed one is complained of until
// one succeeds.
func TestReloader(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil { // one change, and not an empty file before it
			t.Fatal(err)
		}
	}
	write("one")
	registry := prometheus.NewRegistry()
	var loads atomic.Int64
	var fail atomic.Bool
	r := NewReloader([]string{"", file}, func() error {
		loads.Add(1)
		if fail.Load() {
			return errors.New("no such field")
		}
		return nil
	}, slog.New(slog.DiscardHandler), registry)
	r.every = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	// reaches waits for the end of n reloads, the last of which failed or not, and for no other.
	reaches := func(n int64, failed float64) {
		t.Helper()
		reached := func() bool {
			ended := testutil.ToFloat64(r.result.WithLabelValues("done")) +
				testutil.ToFloat64(r.result.WithLabelValues("failed"))
			return ended == float64(n) && testutil.ToFloat64(r.failing) == failed
		}
		for deadline := time.Now().Add(limit); !reached(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d reloads, want %d", loads.Load(), n)
			}
		}
		time.Sleep(6 * r.every)
		if got := loads.Load(); got != n {
			t.Fatalf("%d reloads, want %d", got, n)
		}
	}
	reaches(0, 0)
	write("another")
	reaches(1, 0)
	fail.Store(true)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	reaches(2, 1)
	if w := r.Warnings(ctx); len(w) != 1 || !strings.Contains(w[0], "no such field") {
		t.Errorf("warnings %q", w)
	}
	fail.Store(false)
	write("back")
	reaches(3, 0)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	reaches(4, 0)
	if w := r.Warnings(ctx); len(w) != 0 || testutil.ToFloat64(r.result.WithLabelValues("done")) != 3 {
		t.Errorf("warnings %q", w)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil { // a program that stops in order is not killed
		t.Fatal(err)
	}
	select {
	case <-r.hangup:
	case <-time.After(limit):
		t.Error("nobody took SIGHUP")
	}
}

// A reload that failed is tried again without a change of the file: what was wrong may not have been
// in it. The log says a fault once.
func TestReloaderTriesAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	var loads atomic.Int64
	var log strings.Builder
	r := NewReloader([]string{file}, func() error {
		if loads.Add(1) < 5 {
			return errors.New("not valid yet")
		}
		return nil
	}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	r.every, r.again = time.Millisecond, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.hangup <- syscall.SIGHUP
	for deadline := time.Now().Add(limit); testutil.ToFloat64(r.result.WithLabelValues("done")) == 0; {
		if time.Sleep(time.Millisecond); time.Now().After(deadline) {
			t.Fatal("never tried again")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "not valid yet"); n != 1 || loads.Load() != 5 {
		t.Errorf("%d lines of the fault after %d reloads:\n%s", n, loads.Load(), log.String())
	}
}

// Kubernetes replaces the files of a ConfigMap by another target of the link ..data, in the place of
// which the files' own links point.
func TestReloaderSeesConfigMap(t *testing.T) {
	dir := t.TempDir()
	swap := func(version, text string) {
		t.Helper()
		at := time.Unix(1_700_000_000, 0) // size and time may be those of before
		err := errors.Join(os.Mkdir(filepath.Join(dir, version), 0o700),
			os.WriteFile(filepath.Join(dir, version, "file"), []byte(text), 0o600),
			os.Chtimes(filepath.Join(dir, version, "file"), at, at),
			os.Symlink(version, filepath.Join(dir, "..data_tmp")),
			os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if err != nil {
			t.Fatal(err)
		}
	}
	swap("..1", "one")
	file := filepath.Join(dir, "file")
	if err := os.Symlink(filepath.Join("..data", "file"), file); err != nil {
		t.Fatal(err)
	}
	got := ""
	r := NewReloader([]string{file}, func() error {
		text, err := os.ReadFile(file)
		got = string(text)
		return err
	}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if r.changed() {
		t.Error("changed before it was")
	}
	swap("..2", "two")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	if !r.changed() {
		t.Error("the other file is not seen")
	}
	if r.read("a test"); got != "two" || r.changed() {
		t.Errorf("read %q", got)
	}
}
