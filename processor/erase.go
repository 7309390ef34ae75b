package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/processor/workspace"
	"tributary/schemas"
)

// eraseCommand erases a person.
type eraseCommand struct {
	clickhouseSettings
	workspaceSettings
	oneWorkspace
	Customer []string `help:"Stripe customer, or the account that is one; repeatable." placeholder:"cus_…"`
	External []string `help:"The buyer's id in the seller's database; repeatable." placeholder:"ID"`
	Email    []string `help:"E-mail address, found by its hash; needs --email-key. Repeatable." placeholder:"ADDRESS"`
	Visitor  []string `help:"The browser's own id; repeatable." placeholder:"ID"`
	Click    []string `help:"One click, by its UUID or by the id that the site itself uses, and with it the browser that made it; repeatable." placeholder:"ID"`
	Confirm  bool     `env:"-" help:"Erase. Without it the command only lists what would be erased."`
}

// Help is shown under --help.
func (c *eraseCommand) Help() string {
	return `From the given names the command finds the person's other names: customers, external ids and hashed
addresses that edges connect, the clicks that lead to them, and all clicks of those browsers. Each name
is replaced by a random one in every table. Names, addresses and other personal fields are removed from
clicks, leads, and the raw events of those names and of their payments, refunds and disputes. Dead
letters that name them are emptied, and the reasons of their corrections. Amounts, days, affiliates and
links stay, and so do all totals. The names are stored as hashes, so that no replay stores them again.
Names under which nothing is stored are an error: one of them may be misspelt, or of another workspace.

Records in Kafka stay until the retention of their topics. Backups, and the shadow database of an earlier
replay, are yours to remove.`
}

func (c *eraseCommand) Run(ctx context.Context, log *slog.Logger) error {
	from, err := c.names()
	if err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	if c.Confirm {
		if err := erase.Sync(ctx, store); err != nil {
			return err
		}
	}
	person, err := erase.Find(ctx, store, c.Workspace, from, c.Visitor)
	if err != nil {
		return err
	}
	if !person.Known {
		return fmt.Errorf("%w in workspace %s (hint: ids are case sensitive, and --workspace names another one)",
			erase.ErrNobody, c.Workspace)
	}
	fmt.Printf("%d names, %d leads, %d browsers, %d clicks and %d of Stripe's objects belong together:\n",
		len(person.Names), len(person.Leads), len(person.Visitors), len(person.Clicks), len(person.Objects))
	for _, n := range person.Names {
		fmt.Printf("  %s\n", n)
	}
	for _, v := range person.Visitors {
		fmt.Printf("  visitor:%s\n", v)
	}
	if !c.Confirm {
		fmt.Println("nothing is erased yet (hint: --confirm erases)")
		return nil
	}
	return c.erase(ctx, store, person, log)
}

// names turns the flags into the names from which the person is found.
func (c *eraseCommand) names() ([]identity.Node, error) {
	if err := c.choose(&c.workspacesFile); err != nil {
		return nil, err
	}
	var from []identity.Node
	for typ, list := range map[string][]string{identity.Customer: c.Customer, identity.External: c.External} {
		for _, value := range list {
			from = append(from, identity.New(typ, value))
		}
	}
	for _, value := range c.Click {
		n, ok := identity.ClickRef(schemas.BareClickID(value))
		if !ok {
			return nil, fmt.Errorf("--click: %q is no click's id (hint: give clicks.click_id, or the id that the site uses)",
				value)
		}
		from = append(from, n)
	}
	key, err := schemas.Secret("email key", c.EmailKey, c.EmailKeyFile)
	if err := errors.Join(err, schemas.CheckEmailKey(key, nil)); err != nil {
		return nil, err
	}
	if len(c.Email) > 0 && key == "" {
		return nil, errors.New("--email needs the key of the hashes (hint: give the edge's with --email-key-file)")
	}
	for _, address := range c.Email {
		from = append(from, erase.EmailNode(schemas.EmailHash([]byte(key), c.Workspace, address)))
	}
	if len(from)+len(c.Visitor) == 0 {
		return nil, errors.New("no person is named (hint: give --customer, --external, --email, --visitor or --click)")
	}
	return from, nil
}

func (c *eraseCommand) erase(ctx context.Context, store *clickhouse.Store, person *erase.Person,
	log *slog.Logger) error {
	workspaces, err := workspace.ReadPolicies(c.Workspaces)
	if err != nil {
		return err
	}
	list := &erase.List{Keys: workspaces.Keys}
	if err := erase.Run(ctx, store, list, person, time.Now().UTC()); err != nil {
		return err
	}
	// A processor whose list is older may have inserted some of the names since.
	log.Info("erased; waiting until every processor has read the list, to redact what arrived late", "for",
		2*erase.Refresh)
	select {
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w (hint: run it again)", ctx.Err())
	case <-time.After(2 * erase.Refresh):
	}
	if err := erase.RedactLateArrivals(ctx, store, list, person); err != nil {
		return err
	}
	fmt.Println("erased")
	return nil
}
