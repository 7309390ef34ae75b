package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"tributary/processor/spend"
)

// spendCommand loads what advertisements and affiliates cost.
type spendCommand struct {
	clickhouseSettings
	workspacesFile
	oneWorkspace
	Files []string `arg:"" type:"existingfile" help:"CSV files with a header: day, currency, amount, and any of channel, utm_source, utm_campaign, affiliate_id."`
	Check bool     `help:"Only check the files."`
}

// Help is shown under --help.
func (c *spendCommand) Help() string {
	return `The page and the question return_on_spend compare it with what was earned. A row replaces the one that was loaded
before for the same day, names and currency, so a file can be loaded again; an amount of 0 takes one back.

    day,channel,utm_source,utm_campaign,currency,amount
    2026-01-31,paid_search,google,brand,eur,120.50`
}

func (c *spendCommand) Run(ctx context.Context, log *slog.Logger) error {
	faults := []error{c.choose(&c.workspacesFile)}
	files := make([][]spend.Row, len(c.Files))
	now := time.Now()
	for i, path := range c.Files {
		var err error
		// Of two files with the same day and names the later counts.
		if files[i], err = readSpend(path, c.Workspace, now.Add(time.Duration(i)*time.Millisecond)); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("nothing is loaded: %w", err)
	}
	if c.Check {
		fmt.Println("good")
		return nil
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	for i, rows := range files {
		if err := store.InsertSpend(ctx, rows); err != nil {
			return fmt.Errorf("load %s: %w (hint: run it again; rows that are loaded twice count once)", c.Files[i], err)
		}
		fmt.Printf("%s: %d rows\n", c.Files[i], len(rows))
	}
	return nil
}

func readSpend(path, workspace string, now time.Time) ([]spend.Row, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return spend.Read(file, workspace, now)
}
