package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tributary/deploy/local/chdb"
	"tributary/schemas"
	"tributary/schemas/loopback"
)

// Run is the supervisor: its flags are the settings of the local run, and go on to the programs by
// environment.
type Run struct {
	Data   string `default:"./data" help:"Directory that holds everything the run keeps." placeholder:"DIR"`
	NoDemo bool   `help:"Do not send demo traffic."`

	MaxDataMiB int `name:"max-data-mib" default:"2048" help:"Stop the demo when the directory holds more MiB. Its past of 14 days takes some 80."`

	EdgeAddr       string `default:"127.0.0.1:8080" help:"Address of the edge, which takes clicks and leads."`
	StripeAddr     string `default:"127.0.0.1:8081" help:"Address of the webhook, which takes Stripe's events."`
	DashboardAddr  string `default:"127.0.0.1:8090" help:"Address of the dashboard."`
	OpsAddr        string `default:"127.0.0.1:8091" help:"Address of /metrics, /readyz, /healthz, /processes and /debug/pprof of the whole run. Edge, webhook and processor have theirs on the three ports after it."`
	ClickHouseAddr string `name:"clickhouse-addr" default:"127.0.0.1:8123" help:"Address of the ClickHouse engine that is started."`
	KafkaAddr      string `default:"127.0.0.1:9092" help:"Address of the Kafka broker that is started."`

	KafkaSeeds    []string `help:"Use this Kafka instead of starting one: host:port, comma separated." placeholder:"HOST:PORT,…"`
	ClickHouseDSN string   `name:"clickhouse-dsn" help:"Use this ClickHouse instead of starting one, e.g. http://user:password@host:8123/tributary." placeholder:"URL"`

	StripeWebhookSecrets     []string `help:"Signing secrets of Stripe's webhook endpoints, comma separated. Without one, one is generated and kept in the data directory. Better in a file." placeholder:"WHSEC,…"`
	StripeWebhookSecretsFile string   `help:"File that holds --stripe-webhook-secrets, one a line." placeholder:"FILE"`
	SecretKey                string   `help:"Secret key of the workspace, for leads and imports. Without it, one is generated and kept in the data directory. Better in a file." placeholder:"KEY"`
	SecretKeyFile            string   `help:"File that holds --secret-key." placeholder:"FILE"`
	EmailKey                 string   `help:"Key under which e-mail addresses are hashed, at the edge and by the processor. Without it, one is generated and kept in the data directory. Better in a file." placeholder:"KEY"`
	EmailKeyFile             string   `help:"File that holds --email-key." placeholder:"FILE"`
	Workspaces               string   `help:"JSON array of workspaces, as for the programs. Without it there is one, named default." placeholder:"FILE"`
	FXSource                 []string `name:"fx-source" help:"Exchange rates: ecb:FILE|URL, oxr:FILE|DIR|URL, file:PATH (CSV: date,currency,usd) or pegs (built-in fixed rates, last where not named). Repeatable, in order of preference. Without it, generated rates." placeholder:"SOURCE"`

	kept secrets // of the data directory
}

// Offsets of the programs' own operations ports from --ops-addr's.
const (
	edgeOps = 1 + iota
	webhookOps
	processorOps
	lastOps = processorOps
)

// database is what the DSN of the embedded engine names, and what the migrations fill.
const database = "tributary"

// Validate reads the files of secrets and reports every fault of the settings at once. kong calls
// it after parsing.
func (r *Run) Validate() error {
	var faults []error
	fault := func(flag, format string, args ...any) {
		faults = append(faults, fmt.Errorf("--%s: "+format, append([]any{flag}, args...)...))
	}
	faults = append(faults, r.readSecrets())
	r.checkAddresses(fault)
	r.checkKeys(fault)
	r.checkRateSources(fault)
	return errors.Join(faults...)
}

// faultFunc reports what is wrong with a flag.
type faultFunc func(flag, format string, args ...any)

func (r *Run) checkAddresses(fault faultFunc) {
	taken := make(map[string]listener) // by host and port
	for _, l := range r.listeners() {
		host, port, err := splitAddr(l.addr)
		if err != nil {
			fault(l.flag, "%w", err)
			continue
		}
		key := net.JoinHostPort(host, strconv.Itoa(port))
		if other, ok := taken[key]; ok {
			fault(l.flag, "%s, for %s, is also for %s by --%s (hint: give each a port of its own; three follow that of "+
				"--ops-addr)", l.addr, l.purpose, other.purpose, other.flag)
		}
		taken[key] = l
		if l.addr == r.OpsAddr && port+lastOps > 65535 {
			fault(l.flag, "the %d ports after %d are needed too (hint: choose a lower one)", lastOps, port)
		}
	}
	if host, _, err := splitAddr(r.DashboardAddr); err == nil && !loopback.Host(host) {
		fault("dashboard-addr", "the dashboard has no login and listens on this machine only "+
			"(hint: 127.0.0.1:8090; from another machine: ssh -L 8090:127.0.0.1:8090 HOST)")
	}
	for _, seed := range r.KafkaSeeds {
		if _, _, err := splitAddr(seed); err != nil {
			fault("kafka-seeds", "%w", err)
		}
	}
	if r.ClickHouseDSN != "" {
		// The value is not repeated, for it may hold a password.
		if u, err := url.Parse(r.ClickHouseDSN); err != nil || u.Scheme == "" || u.Host == "" ||
			strings.Trim(u.Path, "/") == "" {
			fault("clickhouse-dsn", "it names no server and database (hint: http://user:password@127.0.0.1:8123/tributary)")
		}
	}
}

// checkKeys also checks the workspaces file, which holds keys.
func (r *Run) checkKeys(fault faultFunc) {
	if r.Workspaces != "" {
		if _, err := schemas.ReadWorkspaces(r.Workspaces); err != nil {
			fault("workspaces", "%w", err)
		}
		if !r.NoDemo && r.SecretKey == "" && r.SecretKeyFile == "" {
			fault("workspaces", "the demo needs a secret key of the file's workspace "+
				"(hint: give it with --secret-key-file, or leave the demo out with --no-demo)")
		}
	}
	for _, secret := range r.StripeWebhookSecrets {
		if err := schemas.CheckSigningSecret(secret); err != nil {
			fault("stripe-webhook-secrets", "%w", err)
		}
	}
	if err := schemas.CheckSecretKey(r.SecretKey); r.SecretKey != "" && err != nil {
		fault("secret-key", "%w", err)
	}
	if err := schemas.CheckSecret(r.EmailKey); r.EmailKey != "" && err != nil {
		fault("email-key", "%w", err)
	}
}

func (r *Run) checkRateSources(fault faultFunc) {
	for _, source := range r.FXSource {
		kind, rest, _ := strings.Cut(source, ":")
		switch {
		case source == "pegs":
		case kind != "ecb" && kind != "oxr" && kind != "file":
			// The value is not repeated, for a URL may hold a key.
			fault("fx-source", "a source is of no kind that is known (hint: ecb:FILE|URL, oxr:FILE|DIR|URL, file:PATH or pegs)")
		case rest == "":
			fault("fx-source", "%s: names no file or URL (hint: ecb:FILE|URL, oxr:FILE|DIR|URL or file:PATH)", kind)
		}
	}
}

// readSecrets reads the secrets that files hold, as if they had been given themselves.
func (r *Run) readSecrets() error {
	listed, err := schemas.Secrets("stripe webhook secrets", r.StripeWebhookSecrets, r.StripeWebhookSecretsFile)
	key, keyErr := schemas.Secret("secret key", r.SecretKey, r.SecretKeyFile)
	emailKey, emailErr := schemas.Secret("email key", r.EmailKey, r.EmailKeyFile)
	if err := errors.Join(err, keyErr, emailErr); err != nil {
		return err
	}
	r.StripeWebhookSecrets, r.SecretKey, r.EmailKey = listed, key, emailKey
	r.StripeWebhookSecretsFile, r.SecretKeyFile, r.EmailKeyFile = "", "", ""
	return nil
}

// listener is an address that the local run will listen on.
type listener struct {
	flag, addr, purpose string
}

func (r *Run) listeners() []listener {
	all := []listener{
		{"edge-addr", r.EdgeAddr, "the edge"},
		{"stripe-addr", r.StripeAddr, "the webhook"},
		{"dashboard-addr", r.DashboardAddr, "the dashboard"},
		{"ops-addr", r.OpsAddr, "metrics and health"},
	}
	for i, purpose := range []string{"metrics of the edge", "metrics of the webhook", "metrics of the processor"} {
		if addr, err := addPort(r.OpsAddr, i+1); err == nil {
			all = append(all, listener{"ops-addr", addr, purpose})
		}
	}
	if r.ClickHouseDSN == "" {
		all = append(all, listener{"clickhouse-addr", r.ClickHouseAddr, "ClickHouse"})
	}
	if len(r.KafkaSeeds) == 0 {
		all = append(all, listener{"kafka-addr", r.KafkaAddr, "Kafka"})
	}
	return all
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port (hint: such as 127.0.0.1:8080)", addr)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("port of %q is not a number from 1 to 65535 (hint: such as 127.0.0.1:8080)", addr)
	}
	return host, port, nil
}

func addPort(addr string, n int) (string, error) {
	host, port, err := splitAddr(addr)
	if err != nil {
		return "", err
	}
	if port += n; port > 65535 {
		return "", fmt.Errorf("%d is no port", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// seeds returns the addresses, host:port, of the Kafka that the programs talk to.
func (r *Run) seeds() []string {
	if len(r.KafkaSeeds) > 0 {
		return r.KafkaSeeds
	}
	return []string{r.KafkaAddr}
}

// instance names the processor to its consumer group, so that one that was killed gets its
// partitions back at once. In a Kafka that the user names there may be other processors.
func (r *Run) instance() string {
	if len(r.KafkaSeeds) > 0 {
		return ""
	}
	return "local"
}

// dsn is the ClickHouse that the programs talk to.
func (r *Run) dsn() string {
	if r.ClickHouseDSN != "" {
		return r.ClickHouseDSN
	}
	return r.engineDSN(chdb.ProgramUser, r.kept.ClickHousePassword)
}

// readerDSN is the same ClickHouse for the dashboard and for people, who only read.
func (r *Run) readerDSN() string {
	if r.ClickHouseDSN != "" {
		return r.ClickHouseDSN
	}
	return r.engineDSN(chdb.ReadOnlyUser, r.kept.ClickHouseReadOnlyPassword)
}

func (r *Run) engineDSN(user, password string) string {
	u := url.URL{Scheme: "http", Host: r.ClickHouseAddr, Path: "/" + database, User: url.UserPassword(user, password)}
	return u.String()
}

// environment is what every program is started with: the supervisor's own, and over it every
// setting under the name that the program's flag has.
func (r *Run) environment(opsOffset int) []string {
	absolute := func(path string) string {
		if path == "" {
			return ""
		}
		if abs, err := filepath.Abs(path); err == nil {
			return abs
		}
		return path
	}
	ops, _ := addPort(r.OpsAddr, opsOffset) // its port was checked with the settings
	env := os.Environ()
	for _, v := range []struct{ name, value string }{
		{"DATA", absolute(r.Data)},
		{"EDGE_ADDR", r.EdgeAddr},
		{"STRIPE_ADDR", r.StripeAddr},
		{"DASHBOARD_ADDR", r.DashboardAddr},
		{"OPS_ADDR", ops},
		{"CLICKHOUSE_ADDR", r.ClickHouseAddr},
		{"KAFKA_ADDR", r.KafkaAddr},
		{"KAFKA_SEEDS", strings.Join(r.seeds(), ",")},
		{"CLICKHOUSE_DSN", r.dsn()},
		{"STRIPE_WEBHOOK_SECRETS", strings.Join(r.StripeWebhookSecrets, ",")},
		{"STRIPE_WEBHOOK_SECRETS_FILE", ""}, // its content is above; programs refuse to be given both
		{"SECRET_KEY", r.SecretKey},
		{"SECRET_KEY_FILE", ""},
		{"EMAIL_KEY", r.EmailKey},
		{"EMAIL_KEY_FILE", ""},
		{"WORKSPACES", absolute(r.Workspaces)},
		{"FX_SOURCE", strings.Join(r.FXSource, ",")},
		{"INSTANCE_ID", r.instance()},
	} {
		env = without(env, v.name)
		if v.value != "" {
			env = append(env, "TRIBUTARY_"+v.name+"="+v.value)
		}
	}
	return env
}

// without leaves out the variable of a setting, whichever command's own it is.
func without(env []string, setting string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return strings.HasPrefix(name, "TRIBUTARY_") && strings.HasSuffix(name, "_"+setting)
	})
}
