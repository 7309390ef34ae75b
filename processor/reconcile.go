package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/fx"
	"tributary/processor/health"
	"tributary/processor/reconcile"
	"tributary/processor/stripe"
	"tributary/processor/stripeapi"
	"tributary/processor/workspace"
)

// reconcileCommand compares the ledger with Stripe's balance transactions, offline from an export
// or live.
type reconcileCommand struct {
	clickhouseSettings
	ledgerSettings
	replicaSettings
	Export        []string `type:"existingfile" help:"Stripe's own export: the itemised balance report or balance history as CSV, or the API's balance transactions as JSON; repeatable." placeholder:"FILE"`
	API           bool     `name:"api" help:"Read Stripe's API instead."`
	StripeKey     string   `name:"stripe-api-key" aliases:"stripe-key" env:"TRIBUTARY_STRIPE_KEY,TRIBUTARY_STRIPE_API_KEY" help:"Restricted key with read access to balance transactions, charges, refunds and disputes. Better in a file."`
	StripeKeyFile string   `name:"stripe-api-key-file" aliases:"stripe-key-file" env:"TRIBUTARY_STRIPE_KEY_FILE,TRIBUTARY_STRIPE_API_KEY_FILE" help:"File that holds --stripe-api-key." type:"path" placeholder:"FILE"`
	APIBase       string   `name:"stripe-api-base" help:"Where Stripe's API is." default:"https://api.stripe.com" placeholder:"URL"`
	Account       string   `help:"Connected account; empty: the platform's own." placeholder:"acct_…"`
	Test          bool     `help:"Compare test mode instead of live mode."`
	From          string   `help:"First UTC day; without it the first of the export, with --api thirty days ago." placeholder:"2006-01-02"`
	To            string   `help:"Last UTC day; without it the last of the export, with --api yesterday." placeholder:"2006-01-02"`
	KeepRates     bool     `name:"keep-rates" help:"Where Stripe settled in USD, let its own rate convert the entry instead of the published one."`
	JSON          bool     `name:"json" help:"Print the report as JSON."`

	client *stripeapi.Client // of --api
}

// Help is shown under --help.
func (c *reconcileCommand) Help() string {
	return `Every balance transaction of a charge, refund or dispute must answer to one entry of the ledger, on
the same UTC day, in the currency that the customer saw, to the cent; and every entry to a balance
transaction. Each difference is listed with its likely cause.

    processor reconcile --export balance.csv
    processor reconcile --api --stripe-api-key-file key --from 2026-03-01 --to 2026-03-31

In the dashboard: Reports, Balance, "Balance change from activity", itemised, all columns, time zone UTC.
The dashboard's balance history names no payment intents, so that what the ledger knows by its intent alone
cannot be found in it. A payout reconciliation report lacks what was not paid out yet. Whatever the
export, the verdict is of the days from its first transaction to its last one.

An entry that no transaction answers to counts as paid outside Stripe only where an event says so
(paid_out_of_band, payment_record, out_of_band_amount). Any other is unproven, and so is whatever was found
by its amount alone or could not be compared: then the two are not called equal.

Exit status: 0 equal, 2 differences or something unproven, 1 anything else.`
}

func (c *reconcileCommand) Run(ctx context.Context, log *slog.Logger) error {
	workspaces, err := c.validate()
	if err != nil {
		return err
	}
	exponents := fx.StripeExponents().WithUGX(c.UGXExponent)
	transactions, period, err := c.read(ctx, log, exponents)
	if err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	workspace, listed := workspaces.Of(c.Account, !c.Test, "")
	if !listed {
		return fmt.Errorf("no workspace lists account %q (hint: --account, and --test for test mode; "+
			"the workspaces file names the accounts)", c.Account)
	}
	scope := reconcile.Scope{Workspace: workspace, Account: c.Account, Livemode: !c.Test, Period: period,
		Complete: c.API}
	if c.KeepRates {
		if err := c.keep(ctx, log, store, scope, transactions); err != nil {
			return err
		}
	}
	report, err := reconcile.Compare(ctx, store, scope, transactions)
	if err != nil {
		return err
	}
	health.Store(ctx, store, health.Reconcile(time.Now().UTC(), report), log)
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.Print(os.Stdout, exponents)
	}
	return errors.Join(err, report.Err())
}

func (c *reconcileCommand) validate() (*workspace.File, error) {
	var faults []error
	workspaces, err := c.ledgerSettings.read()
	if err != nil {
		faults = append(faults, err)
	}
	switch {
	case c.API && len(c.Export) > 0:
		faults = append(faults, errors.New("both --export and --api are given (hint: give one of them)"))
	case !c.API && len(c.Export) == 0:
		faults = append(faults, errors.New("there is nothing to compare with (hint: give Stripe's export with --export, or --api)"))
	case c.API:
		c.client, err = stripeClient("stripe key", c.StripeKey, c.StripeKeyFile, c.APIBase)
		if err == nil && c.client == nil {
			err = errors.New("--api needs a key (hint: --stripe-api-key-file, a restricted one with read access)")
		} else if err == nil {
			err = c.client.Keys.Check(!c.Test)
		}
		faults = append(faults, err)
	}
	for _, d := range []struct{ flag, value string }{{"from", c.From}, {"to", c.To}} {
		if _, err := time.Parse(time.DateOnly, d.value); d.value != "" && err != nil {
			faults = append(faults, fmt.Errorf("--%s: %q is not a day (hint: give one like 2026-03-31)", d.flag, d.value))
		}
	}
	return workspaces, errors.Join(faults...)
}

// read returns all transactions and the period that is compared.
func (c *reconcileCommand) read(ctx context.Context, log *slog.Logger,
	exponents fx.Exponents,
) ([]reconcile.Transaction, reconcile.Period, error) {
	var list []reconcile.Transaction
	each := func(t reconcile.Transaction) error {
		list = append(list, t)
		if len(list)%50_000 == 0 {
			log.Info("reading Stripe's balance transactions", "so far", len(list))
		}
		return ctx.Err()
	}
	for _, path := range c.Export {
		if err := readExport(path, exponents, each); err != nil {
			return nil, reconcile.Period{}, fmt.Errorf("read %s: %w", path, err)
		}
	}
	list, err := reconcile.OfAccount(list, c.Account)
	if err != nil {
		return nil, reconcile.Period{}, err
	}
	if !c.API && len(list) == 0 && (c.From == "" || c.To == "") {
		return nil, reconcile.Period{}, errors.New("the export holds no balance transaction (hint: --from and --to say " +
			"for which days it is; or export another period)")
	}
	now := time.Now().UTC()
	first, last := now.AddDate(0, 0, -30), now.AddDate(0, 0, -1)
	if len(list) > 0 {
		byTime := func(x, y reconcile.Transaction) int { return x.Created.Compare(y.Created) }
		first, last = slices.MinFunc(list, byTime).Created, slices.MaxFunc(list, byTime).Created
	}
	from, to := first.UTC().Format(time.DateOnly), last.UTC().Format(time.DateOnly)
	if c.From != "" {
		from = c.From
	}
	if c.To != "" {
		to = c.To
	}
	period, err := reconcile.NewPeriod(from, to)
	if err != nil {
		return nil, period, err
	}
	if c.API {
		api := &reconcile.API{Client: c.client, Account: c.Account, Livemode: !c.Test}
		api.Client.Log = log
		// A day more on either side: what moved just before or after midnight finds its entry, and is
		// reported on its day.
		wider := reconcile.Period{From: period.From.AddDate(0, 0, -1), To: period.To.AddDate(0, 0, 1)}
		if err := api.Transactions(ctx, wider, each); err != nil {
			return nil, period, err
		}
	} else if len(list) > 0 && (last.Before(period.From) || !first.Before(period.End())) {
		return nil, period, fmt.Errorf("no balance transaction of the export is from %s to %s: they are from %s to %s "+
			"(hint: is it the export of another month?)", period.From.Format(time.DateOnly), period.To.Format(time.DateOnly),
			first.Format(time.DateOnly), last.Format(time.DateOnly))
	}
	if c.API {
		return list, period, nil
	}
	return list, period, reconcile.Uncut(list, period)
}

func readExport(path string, exponents fx.Exponents, each func(reconcile.Transaction) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return reconcile.ReadExport(file, exponents, each)
}

// keep lets what Stripe settled convert the entries.
func (c *reconcileCommand) keep(ctx context.Context, log *slog.Logger, store *clickhouse.Store, scope reconcile.Scope,
	transactions []reconcile.Transaction,
) error {
	var settlements []stripe.Fact
	for _, t := range transactions {
		if t.Settled() && !t.Created.Before(scope.Period.From) && t.Created.Before(scope.Period.End()) {
			settlements = append(settlements, t.Settlement(scope.Account, scope.Livemode))
		}
	}
	recomputer, err := c.recomputer(ctx, store, store, time.Now, log)
	if err != nil {
		return err
	}
	if err := c.useReplicaLag(ctx, store, recomputer); err != nil {
		return err
	}
	if err := recomputer.Settlements(ctx, scope.Workspace, settlements); err != nil {
		return err
	}
	log.Info("Stripe's own rates are kept", "settlements", len(settlements))
	return nil
}
