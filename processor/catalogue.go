package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"tributary/processor/catalogue"
)

// catalogueCommand loads affiliates, links, promotion codes and coupons, and credits at once what
// was booked without them.
type catalogueCommand struct {
	clickhouseSettings
	ledgerSettings
	replicaSettings
	oneWorkspace
	Files []string `arg:"" type:"existingfile" help:"CSV files with a header: affiliate_id, and any of program_id, link_id, promotion_code (promo_… or what the buyer types), coupon."`
}

// Help is shown under --help.
func (c *catalogueCommand) Help() string {
	return `A sale that names only a promotion code, a click by a link without an affiliate, and a bare
client_reference_id are credited once the catalogue names the affiliate, however late: every sale that
is booked already is recomputed. Loading a file twice changes nothing. The first affiliate of a link
stays: to give a link to somebody else, make a new link. Of an affiliate with several programmes, one
in each row, a click may name any; else the first counts.

    affiliate_id,program_id,link_id,promotion_code,coupon
    ann,partners,spring-launch,,
    bob,partners,,BOB20,`
}

func (c *catalogueCommand) Run(ctx context.Context, log *slog.Logger) error {
	var files []*catalogue.Catalogue
	var faults []error
	if err := c.choose(&c.workspacesFile); err != nil {
		faults = append(faults, err)
	}
	for _, path := range c.Files {
		read, err := readCatalogue(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
			continue
		}
		files = append(files, read)
	}
	if len(faults) > 0 {
		return fmt.Errorf("nothing is loaded: %w", errors.Join(faults...))
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
	for i, file := range files {
		err := recomputer.Catalogue(ctx, c.Workspace, append(file.Edges, catalogue.InForce(time.Now())))
		if err != nil {
			return fmt.Errorf("load %s: %w", c.Files[i], err)
		}
		fmt.Printf("%s: %d rows, %d links; every sale that they affect is credited\n", c.Files[i], file.Rows,
			file.Links)
	}
	return nil
}

func readCatalogue(path string) (*catalogue.Catalogue, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return catalogue.Read(file, time.Now())
}
