package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tributary/deploy/process"
	"tributary/schemas"
)

// The supervisor is tested with this test's own binary standing in for all programs: under the name
// local it is the supervisor, under the names of the others a stub that serves what the supervisor
// asks for.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "local":
		main()
		os.Exit(0)
	case "ingest", "processor", "loadgen":
		stub()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// stub is any of the programs: jobs end at once, servers serve their operations port until SIGTERM.
func stub() {
	word := os.Args[1]
	fmt.Println("stub", word, "says hello")
	switch word {
	case "topics", "migrate", "replay":
		return
	case "earnings": // it reads the rules as the program does, and fails like it
		if _, err := schemas.ReadEarnings(os.Args[3]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# HELP stub_starts_total Starts.\n# TYPE stub_starts_total counter\nstub_starts_total{word=%q} 1\n",
			word)
	})
	if word == "demo" { // it sends and does not serve
		<-ctx.Done()
		return
	}
	l, err := net.Listen("tcp", os.Getenv("TRIBUTARY_OPS_ADDR"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() { _ = http.Serve(l, mux) }()
	<-ctx.Done()
	fmt.Println("stub", word, "says goodbye")
}

// binaries puts the programs side by side, all of them this binary under other names.
func binaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"local", "ingest", "processor", "loadgen"} {
		if err := os.Link(self, filepath.Join(dir, name)); err != nil { // the file may be on another file system
			content, err := os.ReadFile(self)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func freePorts(t *testing.T, n int) int {
	t.Helper()
	first, err := process.Ports(n)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func localAddr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// lines collects what a process writes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type running struct {
	cmd   *exec.Cmd
	said  *lines
	first int // port of the dashboard; the operations' are the next
	ended chan error
}

func (r *running) ops(path string) string { return "http://" + localAddr(r.first+1) + path }

func launch(t *testing.T, data string, more ...string) *running {
	t.Helper()
	clickhouse := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(clickhouse.Close)
	r := &running{said: new(lines), first: freePorts(t, 9), ended: make(chan error, 1)}
	r.cmd = exec.Command(filepath.Join(binaries(t), "local"), append([]string{
		"--data", data,
		"--dashboard-addr", localAddr(r.first), "--ops-addr", localAddr(r.first + 1),
		"--edge-addr", localAddr(r.first + 6), "--stripe-addr", localAddr(r.first + 7), "--kafka-addr",
		localAddr(r.first + 8),
		"--clickhouse-dsn", strings.Replace(clickhouse.URL, "http://", "http://ann:hush_dsn@", 1) + "/tributary",
	}, more...)...)
	r.cmd.Stdout, r.cmd.Stderr = r.said, r.said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		if t.Failed() {
			t.Log(r.said)
		}
	})
	eventually(t, "ready", func() bool { return strings.Contains(r.said.String(), "Ready after") })
	return r
}

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after %s", what, limit)
		}
	}
}

// isReady reports whether everything answers that it is ready.
func (r *running) isReady(t *testing.T) bool {
	t.Helper()
	status, _ := get(t, r.ops("/readyz"))
	return status == http.StatusOK
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (r *running) processes(t *testing.T) map[string]processState {
	t.Helper()
	_, body := get(t, r.ops("/processes"))
	var states []processState
	if err := json.Unmarshal([]byte(body), &states); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	byName := make(map[string]processState)
	for _, s := range states {
		byName[s.Name] = s
	}
	return byName
}

// One life of a run: start, one program killed and started again, Ctrl-C.
func TestLifeOfARun(t *testing.T) {
	r := launch(t, t.TempDir())

	eventually(t, "ready", func() bool { return r.isReady(t) })
	eventually(t, "the demo's earnings loaded", func() bool {
		return strings.Contains(r.said.String(), "stub earnings says hello")
	})
	var metrics string
	for _, want := range []string{
		`stub_starts_total{word="clicks",process="edge"} 1`,
		`stub_starts_total{word="stripe",process="webhook"} 1`,
		`stub_starts_total{word="run",process="processor"} 1`,
		`local_process_up{process="demo"} 1`,
		`local_process_up{process="kafka"} 1`,
		`go_goroutines{process="local"}`,
	} {
		eventually(t, want+" among the metrics", func() bool {
			_, metrics = get(t, r.ops("/metrics"))
			return strings.Contains(metrics, want)
		})
	}
	if n := strings.Count(metrics, "# TYPE stub_starts_total"); n != 1 {
		t.Errorf("stub_starts_total is declared %d times, want once for all programs", n)
	}

	before := r.processes(t)["edge"]
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "started again", func() bool {
		after := r.processes(t)["edge"]
		return after.Restarts == 1 && after.PID != 0 && after.PID != before.PID && r.isReady(t)
	})
	if n := strings.Count(r.said.String(), "edge ended unasked (signal: killed)"); n != 1 {
		t.Errorf("the death of the edge was said %d times, want once", n)
	}

	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("end after Ctrl-C: %v, want exit status 0", err)
		}
	case <-time.After(limit):
		t.Fatalf("still running %s after Ctrl-C", limit)
	}
	said, at := r.said.String(), 0
	for _, name := range []string{"demo", "edge", "webhook", "processor", "dashboard", "kafka"} {
		i := strings.Index(said[at:], "stopped "+name+" in ")
		if i < 0 {
			t.Errorf("%s was not stopped in its turn", name)
			continue
		}
		at += i
	}
}

// One request to stop may arrive as several signals; what comes later means now.
func TestStopRequestedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arrived, now, begun := make(chan os.Signal), false, 0
		go func() {
			awaitRequests(arrived, func(os.Signal) { begun++ })
			now = true
		}()
		arrived <- syscall.SIGTERM
		arrived <- syscall.SIGTERM
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if begun != 1 || now {
			t.Errorf("the stop began %d times, now: %v", begun, now)
		}
		arrived <- os.Interrupt
		synctest.Wait()
		if !now {
			t.Error("the second request changes nothing")
		}
	})
}

// A supervisor that is killed takes everybody with it, and the next start uses the same ports and
// secrets.
func TestKillTakesAll(t *testing.T) {
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Skip("only Linux ends the children of a killed parent")
	}
	data := t.TempDir()
	r := launch(t, data)
	states := r.processes(t)
	if len(states) != 5 {
		t.Errorf("%d programs run, want 5: %v", len(states), states)
	}
	kept, err := os.ReadFile(filepath.Join(data, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(data, "secrets.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secrets have mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for name, state := range states {
		eventually(t, name+" gone", func() bool {
			// A zombie that init has yet to collect is as good as gone.
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", state.PID))
			return err != nil || strings.Contains(string(status), ") Z ")
		})
	}
	launch(t, data)
	again, err := os.ReadFile(filepath.Join(data, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, again) {
		t.Error("the second start made other secrets")
	}
}

// TestOwnSecretsAreNotPrinted: a terminal is looked over and its text is pasted into issues.
func TestOwnSecretsAreNotPrinted(t *testing.T) {
	r := launch(t, t.TempDir(), "--stripe-webhook-secrets", "whsec_hush", "--secret-key", "sk_hush_0123456789",
		"--email-key", "em_hush_0123456789")
	if said := r.said.String(); strings.Contains(said, "hush") || !strings.Contains(said, `"$WEBHOOK_SECRET"`) {
		t.Errorf("printed: %s", said)
	}
	for _, path := range []string{"/metrics", "/processes", "/readyz", "/debug/pprof/cmdline", "/debug/pprof/?debug=1"} {
		if _, body := get(t, r.ops(path)); strings.Contains(body, "hush") {
			t.Errorf("%s shows a secret", path)
		}
	}
}

// TestDataIsTheOwnersAlone: the data directory holds Stripe's events and the clicks of visitors.
func TestDataIsTheOwnersAlone(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	launch(t, data)
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDataIsNobodyElses: the run takes no directory that holds other files, and closes none to its
// other users. Beside its own files, others may lie.
func TestDataIsNobodyElses(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		wants string // what is said; "" is a start
		mode  fs.FileMode
	}{
		"new":                   {nil, "", 0o700},
		"of a broker alone":     {[]string{"kafka/x"}, "", 0o700},
		"of a run before":       {[]string{"secrets.json", "spool/x", ".secrets.json-1", "lost+found/x"}, "", 0o700},
		"with a file beside":    {[]string{"secrets.json", "workspaces.json"}, "", 0o755},
		"a home directory":      {[]string{".profile"}, "such as .profile (hint: --data names a directory that is empty", 0o755},
		"a folder of sources":   {[]string{"kafka/x", "clickhouse/x", "src/main.go"}, "such as src (hint: ", 0o755},
		"another's secrets":     {[]string{"secrets.json/x", "main.go"}, "secrets.json: is a directory (hint: ", 0o755},
		"a link to a directory": {[]string{"../other/main.go"}, "such as main.go (hint: ", 0o755},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			for _, file := range c.files {
				path := filepath.Join(data, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if strings.HasPrefix(name, "a link") {
				if err := os.Symlink("other", data); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(data, 0o755); err != nil && len(c.files) > 0 { // whatever the umask
				t.Fatal(err)
			}
			r := &Run{Data: data, NoDemo: true, FXSource: []string{"pegs"}}
			lock, err := claimDataDir(data)
			if err == nil {
				defer lock.Close()
				_, err = (&supervisor{Run: r}).prepare()
			}
			if said := fmt.Sprint(err); c.wants == "" && err != nil || !strings.Contains(said, c.wants) {
				t.Errorf("%s, want %q", said, c.wants)
			}
			if info, err := os.Stat(data); err != nil || info.Mode().Perm() != c.mode {
				t.Errorf("mode %v, %v, want %v", info.Mode(), err, c.mode)
			}
		})
	}
	foreign := filepath.Join(t.TempDir(), "secrets.json")
	if err := os.WriteFile(foreign, []byte(`{"database_password": "x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := keepSecrets(filepath.Dir(foreign))
	if text, _ := os.ReadFile(foreign); err == nil || string(text) != `{"database_password": "x"}` {
		t.Errorf("another program's secrets became %s, %v", text, err)
	}
}

// TestStartedTwice: the second run says at once what is wrong, whatever its addresses are.
func TestStartedTwice(t *testing.T) {
	data := t.TempDir()
	launch(t, data)
	first := freePorts(t, 9)
	said, err := exec.Command(filepath.Join(binaries(t), "local"), "--data", data,
		"--dashboard-addr", localAddr(first), "--ops-addr", localAddr(first+1),
		"--edge-addr", localAddr(first+6), "--stripe-addr", localAddr(first+7), "--kafka-addr", localAddr(first+8),
		"--clickhouse-dsn", "http://127.0.0.1:1/tributary").CombinedOutput()
	if err == nil || !strings.Contains(string(said), "(hint: another local run may use it: stop that, or give this one --data") {
		t.Errorf("%v: %s", err, said)
	}
}

// TestNoWebPage: the supervisor's pages answer neither a cross-site request nor a name that was
// made to resolve to this machine.
func TestNoWebPage(t *testing.T) {
	r := launch(t, t.TempDir())
	for _, base := range []string{"http://" + localAddr(r.first), "http://" + localAddr(r.first+1)} {
		for _, path := range []string{"/", "/metrics", "/processes", "/debug/pprof/", "/api/session", "/explain"} {
			for _, change := range []func(*http.Request){
				func(r *http.Request) { r.Host = "rebind.test" },
				func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			} {
				request, err := http.NewRequest(http.MethodGet, base+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				change(request)
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusForbidden {
					t.Errorf("%s%s: %s", base, path, response.Status)
				}
			}
		}
	}
}

// TestWaitNamesTheFault: a program that does not become ready is reported with its own last
// warning.
func TestWaitNamesTheFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(os.Stderr)
		c := &child{task: task{name: "processor", ready: func(ctx context.Context) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.New("fx_rates is not loaded")
		}}, lines: out.prefixed("processor")}
		fmt.Fprint(c.lines, "level=INFO msg=start\nlevel=WARN msg=\"Checksum doesn't match\"\nlevel=INFO msg=waiting\n")
		err := c.waitReady(t.Context(), time.Minute)
		for _, want := range []string{"not ready after 1m0s", "fx_rates is not loaded", "Checksum doesn't match"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("not said: %s: %v", want, err)
			}
		}
	})
}

// All taken ports are said at once, each with its flag.
func TestTakenPorts(t *testing.T) {
	first := freePorts(t, 9)
	for _, port := range []int{first, first + 3, first + 8} {
		l, err := net.Listen("tcp", localAddr(port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	cmd := exec.Command(filepath.Join(binaries(t), "local"), "--data", t.TempDir(),
		"--dashboard-addr", localAddr(first), "--ops-addr", localAddr(first+1),
		"--edge-addr", localAddr(first+6), "--stripe-addr", localAddr(first+7), "--kafka-addr", localAddr(first+8),
		"--clickhouse-dsn", "http://127.0.0.1:1/tributary")
	said, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("started on taken ports")
	}
	for _, want := range []string{
		localAddr(first) + " is taken by another program (hint: choose another address for the dashboard with " +
			"--dashboard-addr)",
		localAddr(first+3) + " is taken by another program (hint: choose another address for metrics of the webhook " +
			"with --ops-addr)",
		localAddr(first+8) + " is taken by another program (hint: choose another address for Kafka with --kafka-addr)",
	} {
		if !strings.Contains(string(said), want) {
			t.Errorf("not said: %s\n%s", want, said)
		}
	}
}

// Edge, webhook and processor have their metrics on the three ports after --ops-addr.
func TestAddressesOfMetrics(t *testing.T) {
	for ops, want := range map[string]string{
		"127.0.0.1:65532": "",
		"127.0.0.1:65533": "the 3 ports after 65533 are needed too",
		"127.0.0.1:8120": "127.0.0.1:8123, for ClickHouse, is also for metrics of the processor by --ops-addr (hint: give each " +
			"a port of its own; three follow that of --ops-addr)",
	} {
		r := &Run{EdgeAddr: "127.0.0.1:8080", StripeAddr: "127.0.0.1:8081", DashboardAddr: "127.0.0.1:8090", OpsAddr: ops,
			ClickHouseAddr: "127.0.0.1:8123", KafkaAddr: "127.0.0.1:9092"}
		var faults []string
		r.checkAddresses(func(_, format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) })
		said := strings.Join(faults, "\n")
		if len(faults) > 1 || (said == "") != (want == "") || !strings.Contains(said, want) {
			t.Errorf("--ops-addr %s: %q, want %q", ops, said, want)
		}
	}
}

// Every fault of the settings is said at once.
func TestFaultsOfSettings(t *testing.T) {
	cmd := exec.Command(filepath.Join(binaries(t), "local"), "run", "--edge-addr", "nowhere",
		"--stripe-addr", "127.0.0.1:0",
		"--kafka-addr", "127.0.0.1:8123", "--fx-source", "bank:x", "--workspaces", "/does/not/exist",
		"--secret-key", "sk_7", "--email-key", "e 7", "--stripe-webhook-secrets", "sk_live_hush",
		"--email-key-file", "/does/not/exist/either")
	said, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("started with faulty settings")
	}
	for _, want := range []string{`--edge-addr: "nowhere" is not host:port`, "--stripe-addr: port of",
		"--kafka-addr: 127.0.0.1:8123, for Kafka, is also for ClickHouse by --clickhouse-addr",
		`--fx-source: a source is of no kind that is known`, "--workspaces: ", "/does/not/exist: no such file",
		"--secret-key: its 4 bytes can be guessed", "--email-key: it holds a space",
		"--stripe-webhook-secrets: it does not begin with whsec_", "email key: given twice"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("not said: %s\n%s", want, said)
		}
	}
	if strings.Contains(string(said), "hush") {
		t.Errorf("a secret is shown: %s", said)
	}
}

// A file's secret counts as if it had been given itself, and is judged like it.
func TestSecretsFromFiles(t *testing.T) {
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r := &Run{OpsAddr: "127.0.0.1:8091", EdgeAddr: "127.0.0.1:8080", StripeAddr: "127.0.0.1:8081",
		DashboardAddr: "127.0.0.1:8090", KafkaAddr: "127.0.0.1:9092", ClickHouseAddr: "127.0.0.1:8123",
		StripeWebhookSecretsFile: file("whsec_one_of_two\nwhsec_two_of_two\n"),
		SecretKeyFile:            file("sk_0123456789abcdef\n"), EmailKeyFile: file("em_0123456789abcdef")}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	env := r.environment(processorOps)
	for _, want := range []string{"TRIBUTARY_STRIPE_WEBHOOK_SECRETS=whsec_one_of_two,whsec_two_of_two",
		"TRIBUTARY_SECRET_KEY=sk_0123456789abcdef", "TRIBUTARY_EMAIL_KEY=em_0123456789abcdef"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in the environment", want)
		}
	}
	r.SecretKey, r.SecretKeyFile = "", file("sk_7")
	if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "--secret-key: its 4 bytes can be guessed") {
		t.Errorf("a short secret in a file: %v", err)
	}
	r.SecretKey, r.SecretKeyFile = "", filepath.Join(t.TempDir(), "missing")
	if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "secret key: open ") {
		t.Errorf("a file that is missing: %v", err)
	}
}

// The environment holds every flag.
func TestSettingsFromEnvironment(t *testing.T) {
	t.Setenv("TRIBUTARY_KAFKA_SEEDS", "old:1")
	t.Setenv("TRIBUTARY_RUN_SECRET_KEY_FILE", "old:1")
	r := &Run{Data: "d", OpsAddr: "127.0.0.1:8091", EdgeAddr: "127.0.0.1:8080", KafkaAddr: "127.0.0.1:9092",
		ClickHouseAddr:       "127.0.0.1:8123",
		StripeWebhookSecrets: []string{"whsec_a", "whsec_b"}, kept: secrets{ClickHousePassword: "hush"}}
	env := r.environment(processorOps)
	for _, want := range []string{"TRIBUTARY_OPS_ADDR=127.0.0.1:8094", "TRIBUTARY_KAFKA_SEEDS=127.0.0.1:9092",
		"TRIBUTARY_CLICKHOUSE_DSN=http://default:hush@127.0.0.1:8123/tributary",
		"TRIBUTARY_STRIPE_WEBHOOK_SECRETS=whsec_a,whsec_b"} {
		var times int
		for _, pair := range env {
			if pair == want {
				times++
			}
		}
		if times != 1 {
			t.Errorf("%s is %d times in the environment, want once", want, times)
		}
	}
	if strings.Contains(strings.Join(env, "\n"), "old:1") {
		t.Error("the supervisor's own seeds went on to the programs")
	}
}
