//go:build unix && proof

package chaos

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/local/apache"
	"tributary/deploy/local/chdb"
	"tributary/deploy/local/chdb/chdbtest"
	"tributary/deploy/process"
)

const (
	secretKey     = "sk_chaos_0123456789"
	webhookSecret = "whsec_chaos"
)

// program is one of ours, kept running: one that ends unasked is a fault of the test, and started
// again.
type program struct {
	name, path string
	args       []string
	env        []string
	log        string // file of its output, of all its starts
	ready      string // URL that answers 200 once it does its work
	story      *story

	mu   sync.Mutex
	life *process.Process
	asks int // how often somebody ended it on purpose: a life's end is asked for when this has grown since its start
}

// start starts the program and does not wait for it. One that runs is left alone.
func (p *program) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil && p.life.Alive() {
		return nil
	}
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer file.Close() // the process has its own
	cmd := exec.Command(p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, file, file
	life, err := process.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.life = life
	asks := p.asks
	go func() {
		<-life.Ended()
		p.mu.Lock()
		unasked := p.asks == asks
		p.mu.Unlock()
		if !unasked {
			return
		}
		p.story.fail("%s ended unasked (%v); its last lines:\n%s", p.name, life.Err(), lastLines(p.log, 12))
		time.Sleep(time.Second) // as a supervisor would
		p.mu.Lock()
		still := p.asks == asks
		p.mu.Unlock()
		if still {
			if err := p.start(); err != nil {
				p.story.fail("%v", err)
			}
		}
	}()
	return nil
}

func (p *program) end() *process.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks++
	return p.life
}

// kill ends the program by kill -9.
func (p *program) kill() {
	if life := p.end(); life != nil {
		life.Kill()
	}
}

// stop ends the program in order.
func (p *program) stop(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if life := p.end(); life != nil {
		return life.Stop(ctx)
	}
	return nil
}

func (p *program) suspend() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.Suspend()
}

func (p *program) resume() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.Resume()
}

func (p *program) waitReady(ctx context.Context) error {
	for {
		status, said := get(ctx, p.ready)
		if status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %d %s; its last lines:\n%s", p.name, status, said, lastLines(p.log, 12))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// site is everything that runs.
type site struct {
	dir     string
	env     []string // of every program
	cluster *apache.Cluster
	edge    *program
	webhook *program
	engine  *program
	// processors: the first comes back under its name (static membership), the others as strangers.
	// The last one joins and leaves.
	processors []*program

	edgeURL, webhookURL, engineURL string
	password                       string // of the engine
}

// build makes the programs into dir, or skips the test where something is missing that cannot be
// built.
func build(t *testing.T, dir string) (classpath string) {
	t.Helper()
	lacks := func(err error) {
		t.Helper()
		if os.Getenv(chdbtest.RequireVariable) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if _, err := chdb.Find(); err != nil {
		lacks(err)
	}
	place, err := apache.Dir()
	if err != nil {
		t.Fatal(err)
	}
	classpath, err = apache.Install(t.Context(), place)
	if errors.Is(err, apache.ErrMissing) {
		lacks(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "tributary/ingest", "tributary/processor",
		"tributary/deploy/local")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build programs: %v\n%s", err, said)
	}
	return classpath
}

// newSite starts everything but the processor that joins later, and returns when it is ready.
func newSite(t *testing.T, dir string, rewind time.Duration, story *story) *site {
	t.Helper()
	classpath := build(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	secured, err := apache.NewSecured(dir, "tributary")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := apache.Start(ctx, apache.Config{Classpath: classpath, Dir: filepath.Join(dir, "kafka"),
		Secured: secured})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	addresses, err := process.Addresses(8)
	if err != nil {
		t.Fatal(err)
	}
	rates, err := writeRates(dir)
	if err != nil {
		t.Fatal(err)
	}
	var common []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TRIBUTARY_") {
			common = append(common, pair)
		}
	}
	// The engine takes this password instead of generating one.
	password := rand.Text()
	if err := os.WriteFile(filepath.Join(dir, "secrets.json"), []byte(`{"clickhouse_password":"`+password+`"}`),
		0o600); err != nil {
		t.Fatal(err)
	}
	common = append(common,
		"TRIBUTARY_DATA="+dir, "TRIBUTARY_KAFKA_SEEDS="+strings.Join(cluster.SecuredSeeds(), ","),
		"TRIBUTARY_CLICKHOUSE_DSN=http://default:"+password+"@"+addresses[2]+"/tributary",
		"TRIBUTARY_EDGE_ADDR="+addresses[0], "TRIBUTARY_STRIPE_ADDR="+addresses[1], "TRIBUTARY_CLICKHOUSE_ADDR="+addresses[2],
		"TRIBUTARY_SECRET_KEY="+secretKey, "TRIBUTARY_STRIPE_WEBHOOK_SECRETS="+webhookSecret, "TRIBUTARY_FX_SOURCE="+rates,
		// Partitions are read again from a while ago.
		"TRIBUTARY_SWEEP=2s", "TRIBUTARY_REWIND="+rewind.String(), "TRIBUTARY_AUDIT=0s",
	)
	common = append(common, secured.Environment()...)
	s := &site{
		dir: dir, env: common, cluster: cluster,
		edgeURL: "http://" + addresses[0], webhookURL: "http://" + addresses[1] + "/stripe/webhook",
		engineURL: "http://" + addresses[2],
		password:  password,
	}
	plan := func(name, file, ops, path string, args ...string) *program {
		p := &program{
			name: name, path: filepath.Join(dir, file), args: args, env: append(common[:len(common):len(common)],
				"TRIBUTARY_OPS_ADDR="+ops),
			log: filepath.Join(dir, name+".log"), ready: "http://" + ops + path, story: story,
		}
		t.Cleanup(p.kill)
		return p
	}
	s.engine = plan("engine", "local", addresses[2], "/ping", "clickhouse")
	s.edge = plan("edge", "ingest", addresses[3], "/readyz", "clicks")
	s.webhook = plan("webhook", "ingest", addresses[4], "/readyz", "stripe")
	for i := range 3 {
		p := plan(fmt.Sprintf("processor-%d", i+1), "processor", addresses[5+i], "/readyz", "run")
		if i == 0 {
			p.env = append(p.env, "TRIBUTARY_INSTANCE_ID=first")
		}
		s.processors = append(s.processors, p)
	}
	if err := s.engine.start(); err != nil {
		t.Fatal(err)
	}
	if err := s.engine.waitReady(ctx); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"topics", "--replication", "3"}, {"migrate"}} {
		command := exec.CommandContext(ctx, filepath.Join(dir, "processor"), words...)
		command.Env = common
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("processor %s: %v\n%s", words[0], err, said)
		}
	}
	running := []*program{s.edge, s.webhook, s.processors[0], s.processors[1]}
	for _, p := range running {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range running {
		if err := p.waitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// audit runs the auditor over everything, as an operator does, and returns what it said.
func (s *site) audit(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(s.dir, "processor"), "audit", "--since", "all")
	command.Env = s.env
	said, err := command.CombinedOutput()
	return strings.TrimSpace(string(said)), err
}

// writeRates writes the rates that traffic settles at, the same every day.
func writeRates(dir string) (source string, err error) {
	var b bytes.Buffer
	b.WriteString("date,currency,usd\n")
	for d := -10; d <= 2; d++ {
		day := time.Now().UTC().AddDate(0, 0, d).Format(time.DateOnly)
		for _, currency := range traffic.Currencies {
			if currency != unconverted {
				fmt.Fprintf(&b, "%s,%s,%s\n", day, currency, traffic.USDRate(currency))
			}
		}
	}
	path := filepath.Join(dir, "rates.csv")
	return "file:" + path, os.WriteFile(path, b.Bytes(), 0o644)
}

// client has connections to each server for as long as it runs; a request that a killed server left
// unanswered is an error and nothing else.
var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64,
	IdleConnTimeout: 5 * time.Second}}

func get(ctx context.Context, url string) (int, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := client.Do(request)
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

// post returns status 0 when nobody answered.
func post(url string, body []byte, header ...string) (status int, retryAfter, said string) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err.Error()
	}
	return response.StatusCode, response.Header.Get("Retry-After"), string(text)
}

// ask runs a query and returns its rows of tab separated text.
func (s *site) ask(query string) ([][]string, error) {
	status, _, said := post(s.engineURL+"/?"+url.Values{"database": {"tributary"}, "default_format": {"TabSeparated"},
		"password": {s.password}}.Encode(), []byte(query))
	if status != http.StatusOK {
		return nil, fmt.Errorf("query %s: %d %s", query, status, said)
	}
	var rows [][]string
	for line := range strings.Lines(said) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows, nil
}

func lastLines(file string, n int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
