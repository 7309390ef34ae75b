package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/stripeapi"
)

// page is one answer of a list.
type page struct {
	Data    []json.RawMessage `json:"data"`
	HasMore bool              `json:"has_more"`
}

// pageSize is the most that Stripe gives.
const pageSize = "100"

// pages reads a list page by page, writes what records makes of each object, and remembers how far
// it is.
func (b *Backfill) pages(
	ctx context.Context, p *Progress, path string, query url.Values, version string, result *Result,
	records func(json.RawMessage) ([]*kgo.Record, error),
) error {
	query.Set("limit", pageSize)
	deleted := ""
	for {
		answer, err := b.page(ctx, path, query, p.After, version)
		if gone(err) && p.After != "" && p.After != deleted {
			b.Log.Warn("the last object that was read is deleted; the list is read from its beginning",
				"list", path, "after", p.After)
			p.After, deleted = "", p.After
			continue
		}
		if err != nil {
			return permission(err, path)
		}
		written, err := b.write(ctx, answer.Data, records)
		if err != nil {
			return err
		}
		result.Written[path] += written
		b.Log.Info("backfill", "list", path, "events", result.Written[path])
		if !answer.HasMore {
			return nil
		}
		if p.After, err = answer.last(); err != nil {
			return err
		}
		if err := b.save(ctx, *p); err != nil {
			return err
		}
	}
}

// page reads the page of a list that begins behind the object after, or the first one.
func (b *Backfill) page(ctx context.Context, path string, query url.Values, after, version string) (page, error) {
	query.Del("starting_after")
	if after != "" {
		query.Set("starting_after", after)
	}
	var answer page
	body, err := b.API.Get(ctx, stripeapi.Request{
		Path: path + "?" + query.Encode(), Account: b.Account, Livemode: b.Livemode, Version: version,
	})
	if err != nil {
		return answer, err
	}
	if ahead := b.API.Ahead(); ahead.Abs() > maxSkew {
		return answer, fmt.Errorf("this machine's clock and Stripe's differ by %s (hint: set it; which events Stripe still "+
			"has is judged by it)", ahead.Abs().Round(time.Second))
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("read a page: %w", err)
	}
	return answer, nil
}

// last returns the id of the page's last object, behind which the next page begins.
func (p *page) last() (string, error) {
	if len(p.Data) == 0 {
		return "", stripeapi.ErrNoMore
	}
	var o struct{ ID string }
	if err := json.Unmarshal(p.Data[len(p.Data)-1], &o); err != nil || o.ID == "" {
		return "", errors.New("the last object of a page has no id")
	}
	return o.ID, nil
}

// gone reports whether Stripe does not know the object after which a page was to begin: customers,
// coupons and drafts can be deleted while their list is read.
func gone(err error) bool {
	var refused *stripeapi.Refused
	return errors.As(err, &refused) && refused.Code == "resource_missing"
}

// permission says which right a key lacks.
func permission(err error, path string) error {
	var refused *stripeapi.Refused
	switch {
	case !errors.As(err, &refused):
	case refused.Status == http.StatusForbidden:
		return fmt.Errorf("%w (hint: the restricted key needs read access to %s, and to every other of: %v)",
			err, path, paths())
	case refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w (hint: the key is mistyped, or was rolled or revoked; with another one of the same "+
			"account the backfill goes on where it was)", err)
	}
	return err
}
