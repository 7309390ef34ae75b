package manifests

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// command is a program of ours as a file starts it.
type command struct {
	file, name string
	args       []string // the program first
	env        map[string]string
	shared     map[string]string // what of env is for several commands
	stops      time.Duration     // how long it may take to end before it is killed
	files      []string          // the only files that it has; nil for all
}

func ofCompose(t *testing.T, overlays ...string) (list []command) {
	t.Helper()
	project := composed(t, overlays...)
	shared := make(map[string]string)
	for name := range project.Extensions["x-environment"].(map[string]any) {
		shared[name] = ""
	}
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		s := project.Services[name]
		if s.Build == nil {
			continue // not ours
		}
		c := command{
			file: fmt.Sprint("compose ", overlays), name: name, args: append([]string{s.Build.Target}, s.Command...),
			env: make(map[string]string), shared: shared, stops: 10 * time.Second,
		}
		if s.StopGracePeriod != nil {
			c.stops = time.Duration(*s.StopGracePeriod)
		}
		for key, value := range s.Environment {
			if value != nil {
				c.env[key] = *value
			}
		}
		list = append(list, c)
	}
	return list
}

func ofKubernetes(t *testing.T) (list []command) {
	t.Helper()
	c := read(t)
	for _, name := range slices.Sorted(maps.Keys(c.pods)) {
		pod := c.pods[name].Spec
		files := filesOf(t, name, pod)
		for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
			image, _, _ := strings.Cut(strings.TrimPrefix(container.Image, "tributary/"), ":")
			env := maps.Clone(c.config)
			for _, v := range container.Env {
				env[v.Name] = v.Value
			}
			stops := 30 * time.Second
			if pod.TerminationGracePeriodSeconds != nil {
				stops = time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
			}
			if l := container.Lifecycle; l != nil && l.PreStop != nil {
				stops -= time.Duration(l.PreStop.Sleep.Seconds) * time.Second
			}
			list = append(list, command{
				file: "kubernetes", name: name, args: append([]string{image}, container.Args...), env: env, shared: c.config,
				stops: stops, files: files,
			})
		}
		for _, file := range files {
			if c.secrets[file] == "" {
				t.Errorf("%s is given %s, which the Secret does not have", name, file)
			}
			names := func(c command) bool {
				return c.name == name && slices.Contains(slices.Collect(maps.Values(c.env)), "/etc/tributary/"+file)
			}
			if !slices.ContainsFunc(list, names) {
				t.Errorf("%s is given the secret %s, which it does not read", name, file)
			}
		}
	}
	return list
}

// filesOf returns the files of the Secret that a pod has. A pod that has all of them could give away
// what only others need: the edge speaks with everybody.
func filesOf(t *testing.T, name string, pod corev1.PodSpec) (files []string) {
	t.Helper()
	for _, v := range pod.Volumes {
		if v.Secret == nil {
			continue
		}
		for _, item := range v.Secret.Items {
			if item.Key != item.Path {
				t.Errorf("%s has %s as %s", name, item.Key, item.Path)
			}
			files = append(files, item.Path)
		}
	}
	if len(files) == 0 {
		t.Errorf("%s has no files, or all of the Secret", name)
	}
	return files
}

func ofSystemd(t *testing.T) (list []command) {
	t.Helper()
	units, err := filepath.Glob("../systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	shared := variables(t, "../systemd/tributary.env.example")
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		env, stops := maps.Clone(shared), 90*time.Second
		var starts [][]string
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "Environment":
				name, v, _ := strings.Cut(value, "=")
				env[name] = v
			case "TimeoutStopSec":
				if stops, err = time.ParseDuration(value); err != nil {
					t.Errorf("%s: %s: %v", unit, line, err)
				}
			case "ExecStart", "ExecStartPre":
				words := strings.Fields(value)
				starts = append(starts, append([]string{filepath.Base(words[0])}, words[1:]...))
			}
		}
		for _, words := range starts {
			list = append(list, command{file: "systemd", name: filepath.Base(unit), args: words, env: env, shared: shared,
				stops: stops})
		}
	}
	return list
}

func variables(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	env := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			env[name] = value
		}
	}
	return env
}

// machine is this machine in the place of those that the files describe.
type machine struct {
	bin, files        string // directories
	kafka, clickhouse string // addresses
}

// prepare builds the programs and starts the embedded engines.
func prepare(t *testing.T) *machine {
	t.Helper()
	m := &machine{bin: t.TempDir(), files: t.TempDir(), kafka: free(t), clickhouse: free(t)}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-w", "-o", m.bin+"/", "./ingest", "./processor",
		"./deploy/local")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	data := t.TempDir()
	m.start(t, command{
		file: "local", name: "kafka", args: []string{"local", "kafka", "--data", data, "--kafka-addr", m.kafka},
	})
	m.start(t, command{
		file: "local", name: "clickhouse", args: []string{"local", "clickhouse", "--data", data, "--clickhouse-addr", m.clickhouse},
	})
	eventually(t, func() error {
		c, err := net.Dial("tcp", m.kafka)
		if err == nil {
			c.Close()
		}
		return err
	})
	eventually(t, func() error { return get("http://" + m.clickhouse + "/ping") })
	text, err := os.ReadFile(filepath.Join(data, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var secrets map[string]string
	if err := json.Unmarshal(text, &secrets); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"workspaces.json": `[{"id": "acme", "publishable_keys": ["pk_acme"], "secret_keys": ["sk_acme_0123456789"], "stripe_accounts": [""]}]`,
		"identity_secret": "identity-0123456789abcdef", "email_key": "email-0123456789abcdef",
		"dashboard_key": "dashboard-0123456789abcdef",
		// The hash of no password that anybody knows.
		"users.json":             `[{"name": "ann", "role": "owner", "workspaces": ["acme"], "password_hash": "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"}]`,
		"stripe_webhook_secrets": "whsec_0123456789abcdef", "kafka_password": "sesame",
		"clickhouse_password": secrets["clickhouse_password"], "kafka_ca.pem": certificate(t),
	} {
		if err := os.WriteFile(filepath.Join(m.files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// certificate returns one in PEM.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// free returns an address on which nobody listens, below the ports that systems give to outgoing
// connections.
func free(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", 15000+mathrand.IntN(17000))); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal(err)
	return ""
}

func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(4 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func get(address string) error {
	response, err := http.Get(address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s", address, response.StatusCode, text)
	}
	return nil
}

// authority is the user with the hosts of a URL.
var authority = regexp.MustCompile(`//[^/]+`)

// environment is the command's own with this machine's files and addresses. Where the file's Kafka
// has TLS or passwords, only those commands that do not connect are given them.
func (m *machine) environment(c command, connects bool) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.files}
	for name, value := range c.env {
		for _, directory := range []string{"/run/secrets/", "/etc/tributary/", "%d/"} {
			if file, ok := strings.CutPrefix(value, directory); ok {
				value = filepath.Join(m.files, file)
				if c.files != nil && !slices.Contains(c.files, file) {
					value += ".missing"
				}
			}
		}
		switch {
		case strings.HasSuffix(name, "_SPOOL_DIR"):
			value = filepath.Join(m.files, "spool")
		case connects && name == "TRIBUTARY_KAFKA_SEEDS":
			value = m.kafka
		case connects && strings.HasPrefix(name, "TRIBUTARY_KAFKA_"):
			continue
		case connects && strings.HasSuffix(name, "_CLICKHOUSE_DSN"):
			// The embedded engine's one user who may write, in the place of all servers.
			value = authority.ReplaceAllString(value, "//default@"+m.clickhouse)
		case connects && strings.HasSuffix(name, "_FX_SOURCE"):
			value = "pegs"
		}
		env = append(env, name+"="+value)
	}
	return env
}

// finish runs a command to its end and returns what it printed.
func (m *machine) finish(t *testing.T, c command, connects bool, more ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	p := exec.CommandContext(ctx, filepath.Join(m.bin, c.args[0]), append(c.args[1:len(c.args):len(c.args)], more...)...)
	p.Env = m.environment(c, connects)
	out, err := p.CombinedOutput()
	return string(out), err
}

// starts does what it gets on one thread that never ends: Linux ends a child with the thread that
// started it.
var starts = func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}()

// start starts a command, which is stopped in order at the end of the test.
func (m *machine) start(t *testing.T, c command) {
	t.Helper()
	p := exec.Command(filepath.Join(m.bin, c.args[0]), c.args[1:]...)
	p.Env = m.environment(c, true)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	p.Dir = root // where the embedded engine is found
	out := new(bytes.Buffer)
	p.Stdout, p.Stderr = out, out
	p.SysProcAttr = ended
	started := make(chan error)
	starts <- func() { started <- p.Start() }
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		if err := p.Wait(); err != nil {
			t.Errorf("%s %s: %v\n%s", c.file, c.name, err, out)
		}
	})
}

// Every command of every file, with the flags and the environment of that file, is one that our
// programs take. Those that prepare topics and tables do it; the others check their configuration.
func TestCommands(t *testing.T) {
	m := prepare(t)
	all := slices.Concat(ofKubernetes(t), ofSystemd(t))
	for _, o := range overlays(t) {
		all = append(all, ofCompose(t, o...)...)
	}
	checked := 0
	for _, c := range all {
		switch c.args[1] {
		case "topics":
			c.args = append(c.args[:2:2], "--replication", "1") // there is one broker
			fallthrough
		case "migrate":
			out, err := m.finish(t, c, true)
			if slices.Contains(c.args, "--cluster") { // which this machine does not have
				if err == nil || !strings.Contains(out, "Requested cluster 'tributary' not found") {
					t.Errorf("%s, %s: %q: %v\n%s", c.file, c.name, c.args, err, out)
				}
			} else if err != nil {
				t.Errorf("%s, %s: %q: %v\n%s", c.file, c.name, c.args, err, out)
			}
		default:
			checked++
			if out, err := m.finish(t, c, false, "--check"); err != nil || !strings.Contains(out, "the configuration is good") {
				t.Errorf("%s, %s: %q: %v\n%s", c.file, c.name, c.args, err, out)
			}
		}
	}
	if checked < 9 {
		t.Errorf("%d commands, want those of compose, Kubernetes and systemd", checked)
	}
	testHelp(t, m, all)
	t.Run("compose", func(t *testing.T) { playCompose(t, m) })
}

var (
	variable = regexp.MustCompile(`\$(TRIBUTARY_\w+)`)
	duration = regexp.MustCompile(`--(stop-timeout|grace)=(\w+)`)
)

// testHelp compares the files with what the commands' help says. A command does not know a variable
// whose name is not there, and goes on without it. Before a command is killed it has the time that
// its flags give its last work.
func testHelp(t *testing.T, m *machine, all []command) {
	anybody := make(map[string]bool)          // the variables that some command knows
	known := make(map[string]map[string]bool) // those that a command of a container or unit knows
	place := func(c command) string { return c.file + ", " + c.name }
	for _, c := range all {
		help, err := m.finish(t, c, false, "--help")
		if err != nil {
			t.Fatalf("%s: %q: %v\n%s", place(c), c.args, err, help)
		}
		if known[place(c)] == nil {
			known[place(c)] = make(map[string]bool)
		}
		own := "TRIBUTARY_" + strings.ToUpper(c.args[0]) + "_"
		for _, word := range c.args[1:] {
			if strings.HasPrefix(word, "-") {
				break
			}
			own += strings.ToUpper(word) + "_"
		}
		for _, v := range variable.FindAllStringSubmatch(help, -1) {
			known[place(c)][v[1]], known[place(c)][own+strings.TrimPrefix(v[1], "TRIBUTARY_")] = true, true
		}
		maps.Copy(anybody, known[place(c)])
		if takes := stopping(t, c, help); takes >= c.stops && c.args[1] != "topics" && c.args[1] != "migrate" {
			t.Errorf("%s: %q is killed after %s, and may take %s", place(c), c.args, c.stops, takes)
		}
	}
	for _, c := range all {
		for name := range c.env {
			if _, shared := c.shared[name]; !shared && strings.HasPrefix(name, "TRIBUTARY_") && !known[place(c)][name] {
				t.Errorf("%s: %q knows no %s", place(c), c.args, name)
			}
		}
		for name := range c.shared {
			if strings.HasPrefix(name, "TRIBUTARY_") && !anybody[name] {
				t.Errorf("%s: no command knows %s", place(c), name)
			}
		}
	}
}

// stopping returns how long a command may take to end, by its variables and its help.
func stopping(t *testing.T, c command, help string) time.Duration {
	texts := []string{c.env["TRIBUTARY_STOP_DELAY"]}
	for _, f := range duration.FindAllStringSubmatch(help, -1) {
		texts = append(texts, f[2])
		if f[1] == "stop-timeout" { // for requests, and again for Kafka
			texts = append(texts, f[2])
		}
	}
	takes := 5 * time.Second // what no flag says
	for _, text := range texts {
		d, err := time.ParseDuration(cmp.Or(text, "0s"))
		if err != nil {
			t.Error(err)
		}
		takes += d
	}
	return takes
}

// What compose.yaml starts comes up together: each program is ready, and stops in order.
func playCompose(t *testing.T, m *machine) {
	for _, c := range ofCompose(t) {
		if c.args[1] == "topics" || c.args[1] == "migrate" {
			continue
		}
		ops := free(t)
		c.env["TRIBUTARY_OPS_ADDR"] = ops
		for name := range c.env {
			if name == "TRIBUTARY_EDGE_ADDR" || name == "TRIBUTARY_STRIPE_ADDR" || name == "TRIBUTARY_DASHBOARD_ADDR" {
				c.env[name] = free(t)
			}
		}
		c.env["TRIBUTARY_STOP_DELAY"] = "0s"
		m.start(t, c)
		eventually(t, func() error { return get("http://" + ops + "/readyz") })
	}
}
