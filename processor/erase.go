package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/schemas"
)

// eraseCommand erases a person.
type eraseCommand struct {
	clickhouseSettings
	Workspace string   `help:"Workspace whose buyer or visitor it is." default:"default"`
	Customer  []string `help:"Stripe customer; repeatable." placeholder:"cus_…"`
	External  []string `help:"The buyer's id in the seller's database; repeatable." placeholder:"ID"`
	Email     []string `help:"E-mail address, found by its hash; needs --email-key. Repeatable." placeholder:"ADDRESS"`
	Visitor   []string `help:"The browser's own id; repeatable." placeholder:"ID"`
	Click     []string `help:"One click, and with it the browser that made it; repeatable." placeholder:"UUID"`
	EmailKey  string   `help:"Key of the hashes of e-mail addresses, the same as the edge's."`
	Confirm   bool     `help:"Do it. Without it is only said what would be erased."`
}

// Help is shown under --help.
func (c *eraseCommand) Help() string {
	return `From the names given it finds what else belongs to the person: customers, the seller's own ids and hashed addresses that are tied to each
other, the clicks they are known by, and all clicks of those browsers. Each name is replaced by a random one in every table; names, addresses
and other personal fields are taken out of raw events, and what is personal out of clicks and leads. Amounts, days, affiliates and links
stay, and so do all totals. The names are remembered as hashes, so that no replay brings them back.

What Kafka still holds ends with the retention of its topics; backups and tables that an earlier replay left are yours to remove.`
}

func (c *eraseCommand) Run(ctx context.Context, log *slog.Logger) error {
	var from []identity.Node
	for typ, list := range map[string][]string{identity.Customer: c.Customer, identity.External: c.External} {
		for _, value := range list {
			from = append(from, identity.New(typ, value))
		}
	}
	for _, value := range c.Click {
		id, ok := schemas.ParseClickID(value)
		if !ok {
			return fmt.Errorf("--click: %q is no click's id", value)
		}
		from = append(from, identity.New(identity.Click, id.String()))
	}
	if len(c.Email) > 0 && c.EmailKey == "" {
		return errors.New("--email needs the key of the hashes: give the edge's with --email-key")
	}
	for _, address := range c.Email {
		from = append(from, erase.EmailNode(schemas.EmailHash([]byte(c.EmailKey), c.Workspace, address)))
	}
	if len(from)+len(c.Visitor) == 0 {
		return errors.New("nobody is named: give --customer, --external, --email, --visitor or --click")
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	person, err := erase.Find(ctx, store, c.Workspace, from, c.Visitor)
	if err != nil {
		return err
	}
	fmt.Printf("%d names, %d leads, %d browsers and %d clicks belong together:\n", len(person.Names), len(person.Leads), len(person.Visitors), len(person.Clicks))
	for _, n := range person.Names {
		fmt.Printf("  %s\n", n)
	}
	for _, v := range person.Visitors {
		fmt.Printf("  visitor:%s\n", v)
	}
	if !c.Confirm {
		fmt.Println("nothing is erased yet; --confirm does it")
		return nil
	}
	list := new(erase.List)
	if err := erase.Run(ctx, store, list, person, time.Now().UTC()); err != nil {
		return err
	}
	// A processor may have loaded something by the list as it was a moment ago.
	log.Info("erased; waiting until every processor has read the list, to look once more", "for", 2*erase.Refresh)
	select {
	case <-ctx.Done():
		return fmt.Errorf("interrupted: run it again: %w", ctx.Err())
	case <-time.After(2 * erase.Refresh):
	}
	if err := erase.RedactLateArrivals(ctx, store, list, person); err != nil {
		return err
	}
	fmt.Println("erased")
	return nil
}
