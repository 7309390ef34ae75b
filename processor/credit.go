package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/user"
	"strings"
	"time"

	"tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/schemas"
)

// creditCommand decides by hand who is credited with a sale.
type creditCommand struct {
	clickhouseSettings
	ledgerSettings
	replicaSettings
	oneWorkspace
	Sale      string `arg:"" help:"Any Stripe id of the sale: in_…, pi_…, ch_…, cs_…, or of a refund or dispute of it."`
	Affiliate string `help:"Credit this affiliate. Exactly one of --affiliate, --click, --nobody and --undo is needed." placeholder:"ID" xor:"decision"`
	Click     string `help:"Credit this click, whatever its age." placeholder:"UUID" xor:"decision"`
	Nobody    bool   `help:"Credit nobody." xor:"decision"`
	Undo      bool   `help:"Take every correction of the sale back." xor:"decision"`
	Reason    string `help:"Why, for whoever reads the sale's story." required:"" placeholder:"TEXT"`
	Author    string `help:"Who decides it. Default: the user who runs the command." placeholder:"NAME"`
}

// Help is shown under --help.
func (c *creditCommand) Help() string {
	return `The decision outranks every rule, and the sale's refunds and disputes follow it. It is stored as one more fact
of the sale, with its reason and author: "processor explain" shows it, and a rebuild keeps it. Another decision replaces
it; --undo gives the sale back to the rules.`
}

func (c *creditCommand) decision() (identity.Node, error) {
	switch {
	case c.Affiliate == "" && c.Click == "" && !c.Nobody && !c.Undo:
		return "", errors.New("no decision is given (hint: give one of --affiliate, --click, --nobody and --undo)")
	case c.Affiliate != "":
		return identity.New(identity.Affiliate, strings.TrimSpace(c.Affiliate)), nil
	case c.Nobody:
		return identity.Nobody, nil
	case c.Undo:
		return identity.Undone, nil
	}
	id, ok := schemas.ParseClickID(strings.TrimSpace(c.Click))
	if !ok {
		return "", fmt.Errorf("--click: %q is no click's id (hint: a UUID version 7, as in clicks.click_id)", c.Click)
	}
	return identity.New(identity.Click, id.String()), nil
}

func (c *creditCommand) Run(ctx context.Context, log *slog.Logger) error {
	decision, err := c.decision()
	if err := errors.Join(err, c.choose(&c.workspacesFile)); err != nil {
		return err
	}
	if c.Author == "" {
		if u, err := user.Current(); err == nil {
			c.Author = u.Username
		}
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	recomputer, err := c.recomputer(ctx, store, store, time.Now, log)
	if err != nil {
		return err
	}
	if err := c.useReplicaLag(ctx, store, recomputer); err != nil {
		return err
	}
	correction := credit.Correction{Sale: c.Sale, Decision: decision, Reason: c.Reason, Author: c.Author}
	if err := credit.Decide(ctx, store, recomputer, c.Workspace, correction, time.Now()); err != nil {
		return err
	}
	fmt.Printf("%s: decided (hint: processor explain %s shows why)\n", c.Sale, c.Sale)
	return nil
}
