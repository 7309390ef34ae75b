//go:build proof

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// kept are the tables that nothing can compute again once Kafka has forgotten their records: what
// deploy/README.md says to back up.
var kept = []string{
	"clicks", "page_views", "stripe_events", "leads", "dead_letters", "identities", "first_names", "fx_rates", "erasures",
	"earning_rules", "earning_months", "earning_lines", "spend", "facts",
}

// processor runs one of the processor's commands to its end.
func (s *site) processor(args ...string) {
	s.t.Helper()
	password, err := s.password()
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*limit)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(build(s.t), "processor"), args...)
	c.Env = append(os.Environ(), "TRIBUTARY_KAFKA_SEEDS="+s.kafka(), "TRIBUTARY_FX_SOURCE=pegs",
		"TRIBUTARY_CLICKHOUSE_DSN=http://default:"+password+"@"+strings.TrimPrefix(s.clickhouse(), "http://")+"/tributary")
	if out, err := c.CombinedOutput(); err != nil {
		s.t.Fatalf("processor %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// consumed waits until the processor has committed all that is in Kafka.
func (s *site) consumed() {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.kafka()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		lags, err := kadm.NewClient(client).Lag(s.t.Context(), schemas.ConsumerGroup)
		if err == nil {
			err = lags.Error()
		}
		if lag := lags[schemas.ConsumerGroup].Lag; err == nil && len(lag) > 0 && lag.Total() == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the processor lags behind: %v, %v", lags[schemas.ConsumerGroup].Lag.Sorted(), err)
		}
	}
}

func (s *site) exec(statements ...string) {
	s.t.Helper()
	for _, statement := range statements {
		if _, err := s.ask(statement); err != nil {
			s.t.Fatal(err)
		}
	}
}

// figures are what must be the same afterwards: each entry with its credit, and each click.
func (s *site) figures() string {
	s.t.Helper()
	var all []string
	for _, query := range []string{
		"SELECT count(), sum(amount), sum(net_usd), groupBitXor(cityHash64(entry_id, amount, net_usd, click_id, " +
			"match_rule)) FROM ledger_current",
		"SELECT count(), sum(amount) FROM revenue FINAL",
		"SELECT count(), groupBitXor(cityHash64(click_id, clicked_at, host)) FROM clicks FINAL",
		"SELECT count(), groupBitXor(cityHash64(event_id, body)) FROM stripe_events FINAL",
		"SELECT count(), sum(amount) FROM facts FINAL WHERE source = 'balance_transaction'",
	} {
		rows, err := s.ask(query)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, fmt.Sprint(rows))
	}
	return strings.Join(all, "\n")
}

// All tables are lost, and come back: from Kafka, which has all records of its retention, and from
// an older copy of the raw tables with what Kafka has since. The programs run meanwhile, and what
// is sent to them then is not lost either.
func TestRestore(t *testing.T) {
	s := newSite(t)
	s.start("--fx-source", "pegs")
	s.waitReady()
	id := accepted(t, s.insist(func() (answer, error) { return s.click([]byte(plainClick)) }))
	s.insist(func() (answer, error) { return s.deliver(checkout(1, id, 4900)) })
	l := s.load()
	time.Sleep(2 * time.Second)
	l.finish()
	before := ""
	// All that was accepted is booked when the processor has taken it and nothing moves any more.
	settle := func() {
		t.Helper()
		s.consumed()
		before = ""
		for deadline := time.Now().Add(limit); before != s.figures(); time.Sleep(3 * time.Second) {
			if before = s.figures(); time.Now().After(deadline) {
				t.Fatal("the figures go on moving")
			}
		}
	}
	settle()
	same := func(how string) {
		t.Helper()
		for deadline := time.Now().Add(limit); s.figures() != before; time.Sleep(200 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("restored from %s:\n%s\nwant\n%s", how, s.figures(), before)
			}
		}
	}

	s.exec("DROP DATABASE tributary SYNC")
	s.processor("migrate")
	s.processor("replay", "rebuild", "--from", "kafka", "--exchange")
	same("Kafka")

	// What a reconciliation reads of Stripe's balance is in no event.
	s.exec("INSERT INTO facts (workspace, object_id, kind, source, event_id, currency, amount) " +
		"VALUES ('default', 'pi_settled', 'settlement_payment', 'balance_transaction', 'txn_1', 'usd', 5390)")
	before = s.figures()

	copied := time.Now().UTC()
	s.exec("CREATE DATABASE kept")
	for _, table := range kept {
		s.exec("CREATE TABLE kept."+table+" AS tributary."+table, "INSERT INTO kept."+table+" SELECT * FROM tributary."+table)
	}
	later := accepted(t, s.insist(func() (answer, error) { return s.click([]byte(plainClick)) }))
	s.insist(func() (answer, error) { return s.deliver(checkout(1<<19, later, 6100)) })
	settle()
	s.exec("DROP DATABASE tributary SYNC")
	s.processor("migrate")
	for _, table := range kept {
		s.exec("INSERT INTO tributary." + table + " SELECT * FROM kept." + table)
	}
	s.processor("replay", "rebuild", "--drop") // of the first one
	s.processor("replay", "rebuild", "--exchange")
	s.processor("replay", "range", "--since", copied.AddDate(0, 0, -1).Format("2006-01-02T15:04"))
	same("a copy of the raw tables and what Kafka has since")

	second := accepted(t, s.insist(func() (answer, error) { return s.click([]byte(plainClick)) }))
	s.insist(func() (answer, error) { return s.deliver(checkout(1<<20, second, 7700)) })
	s.eventually("SELECT count() FROM ledger_current WHERE amount = 7700 AND match_rule = 'click_id'",
		func(rows [][]string) bool { return rows[0][0] == "1" })
}
