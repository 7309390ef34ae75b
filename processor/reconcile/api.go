package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"tributary/processor/stripeapi"
)

// API reads balance transactions from Stripe. A restricted key with read access to balance
// transactions, charges, refunds and disputes is enough.
type API struct {
	Client   *stripeapi.Client
	Account  string // acct_… of a connected account; empty: the key's own
	Livemode bool
}

// Transactions calls each for every balance transaction created in the period, the newest first,
// page by page. https://docs.stripe.com/api/balance_transactions/list
func (a *API) Transactions(ctx context.Context, period Period, each func(Transaction) error) error {
	after := ""
	for {
		query := url.Values{
			"limit": {"100"}, "expand[]": {"data.source"},
			"created[gte]": {strconv.FormatInt(period.From.Unix(), 10)},
			"created[lt]":  {strconv.FormatInt(period.End().Unix(), 10)},
		}
		if after != "" {
			query.Set("starting_after", after)
		}
		var page struct {
			Data    []json.RawMessage `json:"data"`
			HasMore bool              `json:"has_more"`
		}
		body, err := a.Client.Get(ctx, stripeapi.Request{
			Path: "/v1/balance_transactions?" + query.Encode(), Account: a.Account, Livemode: a.Livemode,
			Version: stripeapi.Version,
		})
		if err == nil {
			err = json.Unmarshal(body, &page)
		}
		if err != nil {
			return fmt.Errorf("read balance transactions: %w", err)
		}
		for _, item := range page.Data {
			t, err := parseTransaction(item)
			if err != nil {
				return err
			}
			after = t.ID
			if err := each(t); err != nil {
				return err
			}
		}
		if !page.HasMore {
			return nil
		}
		if len(page.Data) == 0 {
			return stripeapi.ErrNoMore
		}
	}
}
