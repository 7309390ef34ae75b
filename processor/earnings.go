package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"tributary/processor/earnings"
	"tributary/schemas"
)

// earningsCommand shows and closes the months of what affiliates earn.
type earningsCommand struct {
	Show  earningsShowCommand  `cmd:"" default:"withargs" help:"Show what affiliates earn in a month, or the entries of their statements."`
	Close earningsCloseCommand `cmd:"" help:"Close a month: its statements stay as they are, and what changes later falls into the open month."`
	Rules earningsRulesCommand `cmd:"" help:"Put the rules of an earnings file in force."`
}

// bookSettings are the flags that say whose earnings are meant.
type bookSettings struct {
	clickhouseSettings
	workspacesFile
	oneWorkspace
	Test bool `help:"Stripe's test mode instead of live money."`
}

// book is of the workspace that choose has decided on.
func (s *bookSettings) book() earnings.Book {
	return earnings.Book{Workspace: s.Workspace, Livemode: !s.Test}
}

type earningsShowCommand struct {
	bookSettings
	Month     string `arg:"" optional:"" help:"Month such as 2026-01, UTC. Default: the present one."`
	Affiliate string `help:"Only this affiliate." placeholder:"ID"`
	Entries   bool   `help:"Show each line of the statements: the ledger's entries, and what was carried forward."`
	CSV       bool   `name:"csv" help:"Write CSV."`
}

func (c *earningsShowCommand) Run(ctx context.Context, log *slog.Logger) error {
	month, err := earnings.ParseMonth(cmp.Or(c.Month, earnings.MonthOf(time.Now()).String()))
	if err := errors.Join(err, c.choose(&c.workspacesFile)); err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	question := "statements"
	if c.Entries {
		question = "statement_entries"
	}
	return c.write(os.Stdout, month, func(one func(header, cells []string) error) error {
		return earnings.Rows(ctx, store, question, c.book(), month, c.Affiliate, one)
	})
}

// write writes rows as CSV or as a table for people.
func (c *earningsShowCommand) write(w io.Writer, month earnings.Month,
	each func(func(header, cells []string) error) error) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := csv.NewWriter(w)
	write := func(cells []string) error {
		if c.CSV {
			return lines.Write(cells)
		}
		_, err := fmt.Fprintln(table, strings.Join(cells, "\t"))
		return err
	}
	first := true
	err := each(func(header, cells []string) error {
		if first {
			first = false
			if err := write(header); err != nil {
				return err
			}
		}
		return write(cells)
	})
	if err != nil {
		return err
	}
	lines.Flush()
	if first && !c.CSV {
		who := "Nobody earns anything"
		if c.Affiliate != "" {
			who = c.Affiliate + " earns nothing"
		}
		fmt.Fprintf(w, "%s in %s by the rules in force (hint: \"processor earnings rules FILE\" replaces them; "+
			"without rules nobody earns)\n", who, month)
	}
	return errors.Join(lines.Error(), table.Flush())
}

type earningsCloseCommand struct {
	bookSettings
	Month string `arg:"" help:"Month such as 2026-01, UTC. It must have ended; earlier months that are open are stated with it."`
}

// Help is shown under --help.
func (c *earningsCloseCommand) Help() string {
	return `A closed month is never written again. A refund, a dispute, a sale that is credited to somebody
else, a correction or other rules that come later make a difference to what was stated; the difference
is a line of the open month.`
}

func (c *earningsCloseCommand) Run(ctx context.Context, log *slog.Logger) error {
	month, err := earnings.ParseMonth(c.Month)
	if err := errors.Join(err, c.choose(&c.workspacesFile)); err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	unconverted, err := earnings.Unconverted(ctx, store, c.book(), month)
	if err != nil {
		return fmt.Errorf("count money without a rate: %w", err)
	}
	if unconverted > 0 {
		log.Warn("credited money has no exchange rate yet; what it earns falls into a later month (hint: processor fx)",
			"entries", unconverted)
	}
	if err := earnings.Close(ctx, store, c.book(), month, time.Now()); err != nil {
		return err
	}
	fmt.Printf("%s is closed\n", month)
	return nil
}

type earningsRulesCommand struct {
	clickhouseSettings
	workspacesFile
	File  string `arg:"" type:"path" help:"JSON array, one object for each workspace: workspace, minimum_usd, rules."`
	Check bool   `help:"Only check the file."`
}

// Help is shown under --help.
func (c *earningsRulesCommand) Help() string {
	return `The first rule that fits an entry decides, so that 30 % of a first sale and 10 % of renewals are two rules:

    [{"workspace": "default", "minimum_usd": "50.00", "rules": [
        {"name": "first sale", "percent": "30", "first_sale_only": true, "hold_days": 30},
        {"name": "renewals", "percent": "10", "months": 12, "hold_days": 30}
    ]}]

A rule may also have from and until (days of the sale, UTC), affiliates, programs, products, and flat_usd instead of or
beside percent. A rule that names products decides the parts that these have of a sale: [{"name": "courses", "products":
["prod_1"], "percent": "50"}, {"name": "all else", "percent": "20"}]. The question "products" lists their ids. The file replaces the rules of the workspaces that it names, also for what was sold before.`
}

func (c *earningsRulesCommand) Run(ctx context.Context, log *slog.Logger) error {
	list, err := schemas.ReadEarnings(c.File)
	if err != nil {
		return err
	}
	var faults []error
	for _, rules := range list {
		faults = append(faults, (&oneWorkspace{rules.Workspace}).choose(&c.workspacesFile))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("read %s: %w", c.File, err)
	}
	if c.Check {
		fmt.Printf("%s is good\n", c.File)
		return nil
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	for _, rules := range list {
		if err := earnings.Load(ctx, store, rules, time.Now()); err != nil {
			return fmt.Errorf("load the rules of %s: %w", rules.Workspace, err)
		}
		fmt.Printf("%s: %d rules are in force\n", rules.Workspace, len(rules.Rules))
	}
	return nil
}
