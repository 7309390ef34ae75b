//go:build proof

package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/process"
	"tributary/schemas"
)

// Each program does its work with the rights of its role: tables are made; a click and a sale are
// loaded and audited; the dashboard answers; tables are rebuilt and repaired, and a person is
// erased.
func TestPrograms(t *testing.T) {
	s := newSite(t)
	p := newPrograms(t, s)
	in := func(role string, work func()) {
		t.Helper()
		closing := s.open(role, true)
		defer closing()
		work()
	}
	in("migrator", func() { p.run("migrate") })
	p.produce()
	in("analyst", p.wrongRole)
	in("writer", func() {
		ops := p.address()
		stop := p.start("run", "--ops-addr", ops, "--sweep", "1s")
		p.eventually(func() error { return credited(s) })
		p.eventually(func() error { return get("http://" + ops + "/readyz") })
		p.run("audit", "--since", "all")
		p.run("fx")
		p.run("fx", "--fetch")
		p.run("catalogue", p.file("catalogue.csv", "affiliate_id,link_id\nann,l1\n"))
		p.run("credit", "pi_1", "--affiliate", "bob", "--reason", "a test")
		p.run("credit", "pi_1", "--undo", "--reason", "a test")
		p.run("earnings", "rules", p.file("earnings.json", `[{"workspace":"default","rules":[{"name":"standard","percent":"20"}]}]`))
		p.run("earnings", "close", time.Now().UTC().AddDate(0, -2, 0).Format("2006-01"))
		p.run("replay", "range", "--since", "2026-01-01")
		p.run("replay", "dead-letters")
		p.compared("reconcile", "--export", p.file("balance.json", balance), "--keep-rates")
		p.run("erase", "--customer", "cus_1")
		stop()
	})
	in("dashboard", func() {
		page := p.address()
		stop := p.start("dashboard", "serve", "--dashboard-addr", page, "--ops-addr", p.address())
		for _, path := range []string{"", "explain?id=pi_1", "api/query/modes"} {
			p.eventually(func() error { return get("http://" + page + "/" + path) })
		}
		p.run("explain", "pi_1")
		p.run("fx")
		p.run("earnings", "show")
		p.run("dashboard", "--check", "--connect", "--dashboard-addr", p.address(), "--ops-addr", p.address())
		p.run("mcp") // until its input ends, which is empty
		p.run("roles")
		p.run("migrate", "--print")
		p.compared("reconcile", "--export", p.file("balance.json", balance))
		stop()
	})
	in("migrator", func() {
		p.run("replay", "rebuild", "--exchange")
		p.run("replay", "rebuild", "--drop")
		p.run("audit", "--since", "all", "--repair")
		p.run("erase", "--customer", "cus_1", "--confirm")
	})
	in("writer", func() {
		s.want("SELECT count(), sum(amount) FROM ledger_current WHERE customer_id != 'cus_1'", "1\t4900")
	})
}

// balance is Stripe's, of which the ledger knows nothing.
const balance = `{"object":"list","data":[{"id":"txn_1","object":"balance_transaction","amount":4900,"net":4900,"fee":0,
"currency":"usd","created":1767225600,"type":"charge","reporting_category":"charge","source":"ch_1"}]}`

// A command whose user lacks a right ends at once and says so, with a hint. A processor waits,
// loses nothing, and /readyz says why.
func (p *programs) wrongRole() {
	const hint = "(hint: grant its user the role of this program"
	c, out := p.command(p.t.Context(), "explain", "pi_1")
	if err := c.Run(); err == nil || !denied.Match(out.Bytes()) || !strings.Contains(out.String(), hint) {
		p.t.Errorf("processor explain: %v\n%s", err, out)
	}
	ops := p.address()
	c, _ = p.command(context.WithoutCancel(p.t.Context()), "run", "--ops-addr", ops)
	running, err := process.Start(c)
	if err != nil {
		p.t.Fatal(err)
	}
	defer running.Kill()
	p.eventually(func() error {
		err := get("http://" + ops + "/readyz")
		switch {
		case err == nil:
			return errors.New("the processor is ready, and a right is missing")
		case !denied.MatchString(err.Error()) || !strings.Contains(err.Error(), hint):
			return fmt.Errorf("want that a right is missing: %w", err)
		}
		return nil
	})
}

// programs are processes of the processor, over the site's engine and a Kafka.
type programs struct {
	t      *testing.T
	site   *site
	binary string
	kafka  string
}

func newPrograms(t *testing.T, s *site) *programs {
	t.Helper()
	p := &programs{t: t, site: s, binary: filepath.Join(t.TempDir(), "processor")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.binary, "tributary/processor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the processor: %v\n%s", err, out)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, schemas.TopicClicks, schemas.TopicLeads,
		schemas.TopicStripe, schemas.TopicDeadLetters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p.kafka = strings.Join(cluster.ListenAddrs(), ",")
	return p
}

// produce writes a click of ann's and a sale that names it.
func (p *programs) produce() {
	p.t.Helper()
	const clickID = "0196b2a4-7c5e-7d3a-9f10-2b6c8e4d1a57"
	now := time.Now().UTC().Add(-10 * time.Minute)
	id := [16]byte{0x01, 0x96, 0xb2, 0xa4, 0x7c, 0x5e, 0x7d, 0x3a, 0x9f, 0x10, 0x2b, 0x6c, 0x8e, 0x4d, 0x1a, 0x57}
	click, err := schemas.ClickRecord(&schemas.Click{
		Workspace: "default", Vouched: true, ClickId: id[:], ClickedAt: now.UnixMilli(), ReceivedAt: now.UnixMilli(),
		AffiliateId: "ann", VisitorId: "v1", Url: "https://shop.example/?via=ann", Trigger: "link",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	sold := now.Add(time.Minute)
	sale := schemas.StripeRecord(&schemas.StripeEvent{
		ID: "evt_1", Type: "checkout.session.completed", APIVersion: "2025-09-30.clover", Livemode: true, ReceivedAt: sold,
		Body: fmt.Appendf(nil, `{"id":"evt_1","object":"event","type":"checkout.session.completed","created":%d,
"livemode":true,"api_version":"2025-09-30.clover","data":{"object":{"id":"cs_1","object":"checkout.session",
"mode":"payment",
"payment_status":"paid","currency":"usd","amount_total":4900,"total_details":{"amount_tax":0,"amount_shipping":0,
"amount_discount":0},"payment_intent":"pi_1","invoice":null,"customer":"cus_1","client_reference_id":%q,"metadata":{},
"invoice_creation":{"enabled":false}}}}`, sold.Unix(), clickID),
	}, "cus_1")
	client, err := kgo.NewClient(kgo.SeedBrokers(p.kafka))
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(p.t.Context(), click, sale).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
}

// credited returns nil when the sale is ann's.
func credited(s *site) error {
	got, err := s.ask("SELECT count() FROM revenue FINAL WHERE affiliate_id = 'ann' AND amount = 4900", nil)
	if err == nil && got != "1" {
		err = fmt.Errorf("%s sales are ann's, want 1", got)
	}
	return err
}

func (p *programs) command(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	c := exec.CommandContext(ctx, p.binary, args...)
	c.Env = append(os.Environ(), "TRIBUTARY_KAFKA_SEEDS="+p.kafka, "TRIBUTARY_FX_SOURCE=pegs",
		"TRIBUTARY_CLICKHOUSE_DSN=http://"+p.site.address+"/"+database)
	out := new(bytes.Buffer)
	c.Stdout, c.Stderr = out, out
	return c, out
}

// denied is how ClickHouse refuses, also where a program goes on without what it asked for.
var denied = regexp.MustCompile(`ACCESS_DENIED|Not enough privileges|READONLY|SETTING_CONSTRAINT_VIOLATION`)

func (p *programs) check(out *bytes.Buffer, err error, args []string) {
	p.t.Helper()
	if err != nil || denied.Match(out.Bytes()) {
		p.t.Fatalf("processor %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// run runs a command to its end.
func (p *programs) run(args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Minute)
	defer cancel()
	c, out := p.command(ctx, args...)
	p.check(out, c.Run(), args)
}

// compared runs a command that compares, and may find that something differs. The verdict is for
// the page, and not stored by a user who may only read.
func (p *programs) compared(args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Minute)
	defer cancel()
	c, out := p.command(ctx, args...)
	var exit *exec.ExitError
	if err := c.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 2) {
		p.t.Fatalf("processor %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// file writes a file and returns its path.
func (p *programs) file(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// start starts a command, which runs until the returned function is called.
func (p *programs) start(args ...string) (stop func()) {
	p.t.Helper()
	c, out := p.command(context.WithoutCancel(p.t.Context()), args...)
	running, err := process.Start(c)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		running.Kill()
		if p.t.Failed() {
			p.t.Logf("processor %s said\n%s", strings.Join(args, " "), out)
		}
	})
	return func() {
		p.t.Helper()
		ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
		defer cancel()
		p.check(out, running.Stop(ctx), args)
	}
}

func (p *programs) address() string {
	p.t.Helper()
	addresses, err := process.Addresses(1)
	if err != nil {
		p.t.Fatal(err)
	}
	return addresses[0]
}

func (p *programs) eventually(try func() error) {
	p.t.Helper()
	err := errors.New("not tried")
	for deadline := time.Now().Add(5 * time.Minute); err != nil; time.Sleep(100 * time.Millisecond) {
		if err = try(); err != nil && time.Now().After(deadline) {
			p.t.Fatal(err)
		}
	}
}

func get(address string) error {
	response, err := http.Get(address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", address, response.StatusCode, text)
	}
	return err
}
