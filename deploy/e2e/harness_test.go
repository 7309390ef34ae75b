package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tributary/deploy/local/chdb"
	"tributary/deploy/process"
)

// limit is longer than a loaded machine takes for anything here.
const limit = 4 * time.Minute

const (
	secretKey     = "sk_e2e_0123456789"
	webhookSecret = "whsec_e2e"
)

// programs are built once for all tests.
var programs = struct {
	once sync.Once
	dir  string
	err  error
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// build returns the directory of the programs, or skips the test when the engine is missing.
func build(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("clickhouse"); err != nil {
		if _, err := chdb.Find(); err != nil {
			if os.Getenv("CI_REAL_SERVICES") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "tributary-e2e-"); programs.err != nil {
			return
		}
		command := exec.Command("go", "build", "-ldflags=-w", "-o", programs.dir+string(filepath.Separator),
			"tributary/ingest", "tributary/processor", "tributary/deploy/loadgen", "tributary/deploy/local")
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := command.CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("build programs: %w\n%s", err, said)
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

// site is one data directory with its ports: what stays the same when the run is killed and started
// again.
type site struct {
	t     *testing.T
	data  string
	first int // port
	life  *life
}

// life is one process of the supervisor.
type life struct {
	command *exec.Cmd
	began   time.Time
	ended   chan struct{} // closed after err is set
	err     error
	said    *tail
}

func newSite(t *testing.T) *site {
	t.Helper()
	build(t)
	s := &site{t: t, data: t.TempDir(), first: freePorts(t, 9)}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() && s.life != nil {
			t.Logf("the last lines of the run:\n%s", s.life.said)
		}
	})
	return s
}

func (s *site) addr(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.first+n)) }

func (s *site) ops() string          { return "http://" + s.addr(0) }
func (s *site) processorOps() string { return "http://" + s.addr(3) }
func (s *site) edge() string         { return "http://" + s.addr(4) }
func (s *site) webhook() string      { return "http://" + s.addr(5) + "/stripe/webhook" }
func (s *site) dashboard() string    { return "http://" + s.addr(6) }
func (s *site) kafka() string        { return s.addr(7) }
func (s *site) clickhouse() string   { return "http://" + s.addr(8) }

// start starts the run without waiting for it to be ready.
func (s *site) start(more ...string) {
	s.t.Helper()
	l := &life{began: time.Now(), ended: make(chan struct{}), said: &tail{limit: 64 << 10}}
	l.command = exec.Command(filepath.Join(build(s.t), "local"), append([]string{"run", "--no-demo", "--data", s.data,
		"--ops-addr", s.addr(0), "--edge-addr", s.addr(4), "--stripe-addr", s.addr(5), "--dashboard-addr", s.addr(6),
		"--kafka-addr", s.addr(7), "--clickhouse-addr", s.addr(8),
		"--secret-key", secretKey, "--stripe-webhook-secrets", webhookSecret}, more...)...)
	l.command.Env = append(os.Environ(), "TRIBUTARY_SWEEP=1s")
	l.command.Stdout, l.command.Stderr = l.said, l.said
	if err := l.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		l.err = l.command.Wait()
		close(l.ended)
	}()
	s.life = l
}

// waitReady returns how long the start took.
func (s *site) waitReady() time.Duration {
	s.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := get(s.ops() + "/readyz"); status == http.StatusOK {
			return time.Since(s.life.began)
		}
		select {
		case <-s.life.ended:
			s.t.Fatalf("the run ended at its start: %v", s.life.err)
		default:
		}
		if time.Now().After(deadline) {
			_, why := get(s.ops() + "/readyz")
			s.t.Fatalf("not ready after %s: %s", limit, why)
		}
	}
}

// kill ends the life by kill -9; the kernel then ends its children.
func (s *site) kill() {
	if s.life == nil {
		return
	}
	_ = s.life.command.Process.Kill()
	<-s.life.ended
}

// pid of a child of the run, 0 while it is down.
func (s *site) pid(name string) int {
	_, body := get(s.ops() + "/processes")
	var list []struct {
		Name string
		PID  int
	}
	if json.Unmarshal([]byte(body), &list) == nil {
		for _, p := range list {
			if p.Name == name {
				return p.PID
			}
		}
	}
	return 0
}

// keepDown kills a child by kill -9, and again whenever the supervisor has started it anew, until
// ctx ends.
func (s *site) keepDown(ctx context.Context, name string) {
	for ctx.Err() == nil {
		if pid := s.pid(name); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// answer is what a request was answered.
type answer struct {
	status int
	body   string
	header http.Header
}

// client has a connection to each server for as long as it runs; a request that a killed server
// left unanswered is an error and nothing else.
var client = &http.Client{Timeout: limit, Transport: &http.Transport{MaxIdleConnsPerHost: 16,
	IdleConnTimeout: 5 * time.Second}}

func post(url string, body []byte, header ...string) (answer, error) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(said), response.Header}, err
}

func get(url string) (int, string) {
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// click posts one click as the workspace's own backend would: with any time.
func (s *site) click(body []byte) (answer, error) {
	return post(s.edge()+"/v1/click", body, "Content-Type", "application/json", "Authorization", "Bearer "+secretKey)
}

// deliver posts one event signed as Stripe signs.
func (s *site) deliver(body []byte) (answer, error) {
	return post(s.webhook(), body, "Content-Type", "application/json", "Stripe-Signature", sign(body, webhookSecret))
}

func sign(body []byte, secret string) string {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// insist posts until the answer is 200, as Stripe does for three days.
func (s *site) insist(what func() (answer, error)) answer {
	s.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		got, err := what()
		if err == nil && got.status == http.StatusOK {
			return got
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not accepted within %s: %d %s %v", limit, got.status, got.body, err)
		}
	}
}

// password is the engine's for the programs.
func (s *site) password() (string, error) {
	kept, err := os.ReadFile(filepath.Join(s.data, "secrets.json"))
	if err != nil {
		return "", err
	}
	var secrets struct {
		Password string `json:"clickhouse_password"`
	}
	err = json.Unmarshal(kept, &secrets)
	return secrets.Password, err
}

// ask runs a query as the programs do and returns its rows of tab separated text.
func (s *site) ask(query string) ([][]string, error) {
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	parameters := url.Values{"database": {"tributary"}, "default_format": {"TabSeparated"}}
	got, err := post(s.clickhouse()+"/?"+parameters.Encode(), []byte(query),
		"X-ClickHouse-User", chdb.ProgramUser, "X-ClickHouse-Key", password)
	if err != nil {
		return nil, err
	}
	if got.status != http.StatusOK {
		return nil, fmt.Errorf("query %s: %d %s", query, got.status, got.body)
	}
	var rows [][]string
	for line := range strings.Lines(got.body) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows, nil
}

// eventually asks until the rows are as wanted, and fails with the last ones.
func (s *site) eventually(query string, want func([][]string) bool) [][]string {
	s.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		rows, err := s.ask(query)
		if err == nil && want(rows) {
			return rows
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("after %s still not as wanted: %s\n%v %v", limit, query, rows, err)
		}
	}
}

// accepted is the click id of a click's answer.
func accepted(t *testing.T, a answer) string {
	t.Helper()
	var said struct {
		ClickID string `json:"click_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &said); err != nil || said.ClickID == "" {
		t.Fatalf("no click id in %q", a.body)
	}
	return said.ClickID
}

// checkout is a paid session of that amount in cents that names a click.
func checkout(n int, click string, amount int64) []byte {
	now := time.Now().Unix()
	body, err := json.Marshal(map[string]any{
		"id": fmt.Sprintf("evt_%d", n), "object": "event", "api_version": "2025-09-30.clover",
		"created": now, "livemode": true,
		"type": "checkout.session.completed",
		"data": map[string]any{"object": map[string]any{
			"id": fmt.Sprintf("cs_%d", n), "object": "checkout.session", "created": now, "livemode": true, "mode": "payment",
			"status": "complete", "payment_status": "paid", "payment_intent": fmt.Sprintf("pi_%d", n),
			"amount_subtotal": amount, "amount_total": amount, "currency": "usd", "client_reference_id": click,
			"metadata": map[string]any{},
		}},
	})
	if err != nil {
		panic(err)
	}
	return body
}

func freePorts(t *testing.T, n int) int {
	t.Helper()
	first, err := process.Ports(n)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// tail keeps the end of what a process wrote.
type tail struct {
	limit int
	mu    sync.Mutex
	b     []byte
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	if len(l.b) > 2*l.limit {
		l.b = append(l.b[:0], l.b[len(l.b)-l.limit:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b[max(0, len(l.b)-l.limit):])
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// hasClicks waits until all of these clicks are in ClickHouse, and fails with those that are not.
func (s *site) hasClicks(want map[string]bool) {
	s.t.Helper()
	var missing []string
	for deadline := time.Now().Add(limit); ; time.Sleep(300 * time.Millisecond) {
		rows, err := s.ask("SELECT DISTINCT UUIDNumToString(click_id) FROM clicks")
		if err == nil {
			stored := make(map[string]bool, len(rows))
			for _, row := range rows {
				stored[row[0]] = true
			}
			missing = missing[:0]
			for id := range want {
				if !stored[id] {
					missing = append(missing, id)
				}
			}
			if len(missing) == 0 {
				return
			}
		}
		if time.Now().After(deadline) {
			slices.Sort(missing)
			s.t.Errorf("%d of %d accepted clicks are missing, the first %v; %v", len(missing), len(want),
				missing[:min(5, len(missing))], err)
			return
		}
	}
}
