//go:build unix && proof

package e2e

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"tributary/deploy/local/apache"
	"tributary/deploy/local/chdb"
)

// right is what Kafka's access lists allow a program's user.
type right struct {
	operation    kadm.ACLOperation
	topic, group string // one of the two
}

func (r right) list(user string) *kadm.ACLBuilder {
	b := kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Operations(r.operation).Allow("User:" + user)
	if r.topic != "" {
		return b.Topics(r.topic)
	}
	return b.Groups(r.group)
}

// Each program works with the rights that deploy/README.md lists, each with a user of its own. With
// one of them missing its --check --connect, or the command itself, says which and gives a hint.
func TestProgramsWithAccessLists(t *testing.T) {
	programs := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*limit)
	defer cancel()
	dir, err := apache.Dir()
	if err != nil {
		t.Fatal(err)
	}
	classpath, err := apache.Install(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	secured, err := apache.NewSecured(t.TempDir(), "nobody")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := apache.Start(ctx, apache.Config{Classpath: classpath, Dir: t.TempDir(), Brokers: 1, Secured: secured,
		Properties: map[string]string{"super.users": "User:ANONYMOUS", // the brokers, and this test
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := &site{t: t, data: t.TempDir(), first: freePorts(t, 9)}
	engine := exec.Command(filepath.Join(programs, "local"), "clickhouse", "--data", s.data,
		"--clickhouse-addr", s.addr(8))
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Process.Kill(); _ = engine.Wait() })
	for status := 0; status != 200 && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		status, _ = get(s.clickhouse() + "/ping")
	}
	key, err := s.password()
	if err != nil {
		t.Fatal(err)
	}
	dsn := url.URL{Scheme: "http", User: url.UserPassword(chdb.ProgramUser, key), Host: s.addr(8), Path: "/tributary"}
	run := func(user string, command []string) (string, error) {
		c := exec.CommandContext(ctx, filepath.Join(programs, command[0]), command[1:]...)
		c.Env = append(append(os.Environ(), secured.Environment()...), "TRIBUTARY_KAFKA_USER="+user,
			"TRIBUTARY_KAFKA_SEEDS="+cluster.SecuredSeeds()[0], "TRIBUTARY_CLICKHOUSE_DSN="+dsn.String(),
			"TRIBUTARY_STRIPE_WEBHOOK_SECRETS="+webhookSecret+"_0123456789")
		said, err := c.CombinedOutput()
		return string(said), err
	}
	if said, err := run("nobody", []string{"processor", "migrate"}); err != nil {
		t.Fatal(err, said)
	}
	const clicks, leads, stripe, dead = "clicks.v1", "leads.v1", "stripe.v1", "deadletters.v1"
	const group, thin = "tributary-processor", "tributary-processor-thin"
	reads := []right{{kadm.OpRead, clicks, ""}, {kadm.OpRead, leads, ""}, {kadm.OpRead, stripe, ""},
		{kadm.OpRead, dead, ""}}
	creates := []right{}
	for _, topic := range []string{clicks, leads, stripe, dead} {
		creates = append(creates, right{kadm.OpCreate, topic, ""}, right{kadm.OpDescribe, topic, ""},
			right{kadm.OpDescribeConfigs, topic, ""})
	}
	for _, program := range []struct {
		user    string
		command []string
		rights  []right
		missing []int // the rights of which one at a time is taken away
	}{
		{"topics", []string{"processor", "topics"}, creates, []int{1, 10}},
		{"clicks", []string{"ingest", "clicks", "--check", "--connect"},
			[]right{{kadm.OpWrite, clicks, ""}, {kadm.OpWrite, leads, ""}, {kadm.OpWrite, stripe, ""}}, []int{0, 1, 2}},
		{"stripe", []string{"ingest", "stripe", "--check", "--connect"}, []right{{kadm.OpWrite, stripe, ""}}, []int{0}},
		{"run", []string{"processor", "run", "--check", "--connect", "--stripe-api-key", "rk_live_0123456789abcdefghijklmn"},
			append(reads[:4:4], right{kadm.OpWrite, dead, ""}, right{kadm.OpWrite, stripe, ""}, right{kadm.OpRead, "", group},
				right{kadm.OpRead, "", thin}), []int{0, 3, 4, 5, 6, 7}},
		{"audit", []string{"processor", "audit", "--since", "all"}, append(reads[:4:4], right{kadm.OpDescribe, "", group}),
			[]int{2, 4}},
		{"replay", []string{"processor", "replay", "range", "--since", "2026-11-01"}, reads, []int{1}},
	} {
		if answers, err := cluster.Admin().AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: program.user,
			Mechanism: kadm.ScramSha512, Iterations: 4096, Password: secured.Password}}); err != nil || answers.Error() != nil {
			t.Fatal(err, answers.Error())
		}
		allow := func(r right) {
			if _, err := cluster.Admin().CreateACLs(ctx, r.list(program.user).AllowHosts("*")); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range program.rights {
			allow(r)
		}
		// The broker reads the lists a moment after it has acknowledged them.
		until := func(what string, good func(said string, err error) bool) {
			for {
				said, err := run(program.user, program.command)
				if good(said, err) {
					return
				}
				if ctx.Err() != nil {
					t.Fatalf("%v %s: %v\n%s", program.command, what, err, said)
				}
			}
		}
		until("with all rights", func(_ string, err error) bool { return err == nil })
		for _, i := range program.missing {
			r := program.rights[i]
			if _, err := cluster.Admin().DeleteACLs(ctx, r.list(program.user).AllowHosts("*").DenyHosts().Deny()); err != nil {
				t.Fatal(err)
			}
			until("without "+r.topic+r.group, func(said string, err error) bool {
				return err != nil && strings.Contains(said, "AUTHORIZATION_FAILED") && strings.Contains(said, "(hint: ")
			})
			allow(r)
			until("with all rights again", func(_ string, err error) bool { return err == nil })
		}
	}
}
