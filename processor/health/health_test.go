package health

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/audit"
	"tributary/processor/backfill"
	"tributary/processor/clickhouse"
	"tributary/processor/reconcile"
	"tributary/schemas"
)

// rows receives what is stored, as text.
type rows chan []string

func (stored rows) InsertStatus(_ context.Context, list []clickhouse.StatusRow) error {
	stored <- text(list)
	return nil
}

func text(list []clickhouse.StatusRow) (lines []string) {
	for _, r := range list {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s|%s|%s|%d|%s", r.What, r.Subject, r.Verdict,
			r.Number, r.Detail)))
	}
	slices.Sort(lines)
	return lines
}

// One of the processors reports what waits in Kafka, and how far each backfill is.
func TestReporter(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, schemas.TopicClicks, schemas.TopicStripe))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	kafka := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	client, err := kgo.NewClient(kafka...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range 5 {
		record := &kgo.Record{Topic: schemas.TopicClicks, Partition: int32(i % 2), Value: []byte("click")}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	admin := kadm.NewClient(client)
	offsets := kadm.Offsets{} // three clicks in partition 0, of which one is handled, and two in 1; no event at all
	offsets.Add(kadm.Offset{Topic: schemas.TopicClicks, Partition: 0, At: 1, LeaderEpoch: -1})
	offsets.Add(kadm.Offset{Topic: schemas.TopicClicks, Partition: 1, At: 0, LeaderEpoch: -1})
	offsets.Add(kadm.Offset{Topic: schemas.TopicStripe, Partition: 0, At: 0, LeaderEpoch: -1})
	if err := admin.CommitAllOffsets(t.Context(), schemas.ConsumerGroup, offsets); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	for group, p := range map[string]backfill.Progress{
		backfill.Group("", true):          {Since: day, Until: day + 86400, Step: 4, At: day},
		backfill.Group("acct_1-2", false): {Since: day, Until: day + 86400, Step: 13, Done: true, At: day},
	} {
		if err := (&backfill.KafkaStore{Admin: admin, Group: group}).Save(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}

	stored, elected := make(rows), make(chan bool)
	reporter := &Reporter{
		Kafka: kafka, Store: stored, Log: slog.New(slog.DiscardHandler), Elected: func() bool { return <-elected },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- reporter.Run(ctx, time.Millisecond) }()
	elected <- false // another processor reports
	elected <- true
	want := []string{
		"backfill|live|under_way|4|2026-03-01 to 2026-03-01: 4 of 13 lists are in Kafka, reading /v1/checkout/sessions",
		"backfill|test acct_1-2|done|13|2026-03-01 to 2026-03-01: everything that Stripe has is in Kafka",
		"lag|tributary-processor clicks.v1||4|",
		"lag|tributary-processor stripe.v1||0|",
	}
	if got := <-stored; !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	cancel()
	close(elected)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A verdict says no more than what was found.
func TestVerdicts(t *testing.T) {
	found := func(n int) *audit.Report { return &audit.Report{Records: 9, Findings: make([]audit.Finding, n)} }
	partly := found(0)
	partly.LeftOut = []string{"the last two minutes"}
	compared := func(findings ...reconcile.Finding) *reconcile.Report {
		r := &reconcile.Report{Scope: reconcile.Scope{Account: "acct_1", Livemode: true}, Verdict: "As it is."}
		r.Scope.Period, _ = reconcile.NewPeriod("2026-03-01", "2026-03-31")
		for _, f := range findings {
			r.Differences = append(r.Differences, reconcile.Difference{Finding: f})
		}
		return r
	}
	at := time.Now()
	const march = "2026-03-01 to 2026-03-31: As it is."
	for want, got := range map[string][]clickhouse.StatusRow{
		"audit||good|0|9 records handled again":                                    Audit(at, found(0), found(0)),
		"audit||findings|2|9 records handled again":                                Audit(at, found(2), found(2)),
		"audit||findings|1|9 records handled again; 2 findings repaired":           Audit(at, found(3), found(1)),
		"audit||good|0|9 records handled again; not checked: the last two minutes": Audit(at, partly, partly),
		"reconcile|live acct_1|good|0|" + march: Reconcile(at,
			compared(reconcile.Outside)),
		"reconcile|live acct_1|findings|1|" + march: Reconcile(at, compared(reconcile.Amount, reconcile.Paired,
			reconcile.Outside)),
		"reconcile|live acct_1|unproven|0|" + march: Reconcile(at, compared(reconcile.Paired)),
	} {
		if lines := text(got); len(lines) != 1 || lines[0] != want {
			t.Errorf("%q, want %q", lines, want)
		}
	}
}
