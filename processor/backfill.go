package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/backfill"
	"tributary/processor/consume"
	"tributary/processor/workspace"
	"tributary/schemas"
)

// backfillCommand brings past money from Stripe's API into Kafka, where the processors find it.
type backfillCommand struct {
	kafkaSettings
	stripeAPISettings
	Workspaces string `help:"JSON array of workspaces, the same file as that of processor run; without it one workspace, \"default\", for all Stripe accounts." type:"path" placeholder:"FILE"`
	Since      string `help:"First UTC day; without it a year ago." placeholder:"2006-01-02"`
	Until      string `help:"Last UTC day; without it today." placeholder:"2006-01-02"`
	Account    string `help:"Connected account; empty: the key's own." placeholder:"acct_…"`
	Test       bool   `help:"Test mode instead of live mode."`
	DryRun     bool   `name:"dry-run" help:"Count what would be written, and write nothing."`
}

// Help is shown under --help.
func (c *backfillCommand) Help() string {
	return `Stripe keeps events for thirty days: these are read as they were sent. What is older is read
from the lists of charges, payment intents, invoices, invoice payments, refunds, disputes, credit notes,
checkout sessions, customers, subscriptions, coupons and promotion codes, and written as events that say so
(backfilled_from). Customers, subscriptions and sessions are read of all time, for the names in them. All
of it goes into Kafka, and processor run books it like webhooks: twice, or beside live webhooks, it
changes nothing.

    processor backfill --stripe-api-key-file key --since 2025-01-01 --dry-run
    processor backfill --stripe-api-key-file key --since 2025-01-01

It shows progress, waits when Stripe asks it to, may be interrupted, and goes on where it was when it is
started with the same days. A restricted key needs read access to all that is listed above.

` + c.notFound() + `.`
}

// notFound says what of past money Stripe's lists do not give.
func (c *backfillCommand) notFound() string {
	return `Not found are: invoices that were paid more than a year after they were issued (their payments are
found, without tax; paid outside Stripe, they are not), and payments of before the period that failed in
it, late, without a dispute. Clicks are not in Stripe: import them with POST /v1/clicks`
}

// Run reads, writes, and says how to check the result.
func (c *backfillCommand) Run(ctx context.Context, app *kong.Kong, log *slog.Logger) error {
	b, err := c.validate(time.Now().UTC())
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	b.Log, b.API.Log = log, log
	if !c.DryRun {
		connection, err := c.connection()
		if err != nil {
			return err
		}
		client, err := schemas.DialKafka(ctx, append(connection.Options(),
			kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchMaxBytes(consume.MaxRecordBytes))...)
		if err != nil {
			return err
		}
		defer client.Close()
		b.Produce = func(ctx context.Context, records []*kgo.Record) error {
			return client.ProduceSync(ctx, records...).FirstErr()
		}
		b.Store = &backfill.KafkaStore{Admin: kadm.NewClient(client), Group: backfill.Group(b.Account, b.Livemode)}
	}
	result, err := b.Run(ctx)
	total := 0
	for _, path := range slices.Sorted(maps.Keys(result.Written)) {
		total += result.Written[path]
		fmt.Fprintf(app.Stdout, "%8d  %s\n", result.Written[path], path)
	}
	if err != nil {
		return err
	}
	if c.DryRun {
		_, err = fmt.Fprintf(app.Stdout, "%d events would be written\n", total)
		return err
	}
	_, err = fmt.Fprintf(app.Stdout, "%d events are in Kafka. When the processors have booked them, compare:\n\n"+
		"    %s\n\n%s.\n", total, c.check(b), c.notFound())
	return err
}

// validate turns the flags into a backfill, or reports every fault of all of them.
func (c *backfillCommand) validate(now time.Time) (*backfill.Backfill, error) {
	today := now.Truncate(24 * time.Hour)
	since, until := today.AddDate(-1, 0, 0), today
	client, err := c.client()
	if err == nil && client == nil {
		err = errors.New("a backfill needs a key (hint: --stripe-api-key-file, a restricted one with read access)")
	}
	if err == nil {
		err = client.Keys.Check(!c.Test)
		client.Patience = time.Hour // Stripe may ask for minutes
	}
	faults := []error{err}
	for _, d := range []struct {
		flag, value string
		into        *time.Time
	}{{"since", c.Since, &since}, {"until", c.Until, &until}} {
		if d.value == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, d.value)
		if err != nil {
			faults = append(faults, fmt.Errorf("--%s: %q is not a day (hint: 2026-03-31)", d.flag, d.value))
		}
		*d.into = day
	}
	if until.Before(since) {
		faults = append(faults, errors.New("the period ends before it begins (hint: --since is the earlier day)"))
	}
	workspaces, err := workspace.ReadPolicies(c.Workspaces)
	faults = append(faults, err)
	if err == nil {
		if _, listed := workspaces.Of(c.Account, !c.Test, ""); !listed {
			faults = append(faults, fmt.Errorf("no workspace lists account %q in this mode: nothing of it would be booked "+
				"(hint: --account, and --test for test mode; the workspaces file names the accounts)", c.Account))
		}
	}
	return &backfill.Backfill{
		API: client, Account: c.Account, Livemode: !c.Test, Since: since, Until: until.AddDate(0, 0, 1), Now: time.Now,
	}, errors.Join(faults...)
}

// check is the command that compares what was booked with Stripe's balance.
func (c *backfillCommand) check(b *backfill.Backfill) string {
	words := []string{
		"processor reconcile --api --stripe-api-key-file …",
		"--from", b.Since.Format(time.DateOnly), "--to", b.Until.AddDate(0, 0, -1).Format(time.DateOnly),
	}
	if c.Account != "" {
		words = append(words, "--account", c.Account)
	}
	if c.Test {
		words = append(words, "--test")
	}
	return strings.Join(words, " ")
}
