package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// API reads balance transactions from Stripe. A restricted key with read access to balance transactions, charges, refunds and
// disputes is enough.
type API struct {
	Base    string // https://api.stripe.com
	Key     string // never said in an error
	Account string // acct_… of a connected account; empty: the key's own
	Client  *http.Client
}

// apiVersion pins the shape of the answers.
const apiVersion = "2023-10-16"

// Transactions calls each for every balance transaction created in the period, the newest first, page by page.
// https://docs.stripe.com/api/balance_transactions/list
func (a *API) Transactions(ctx context.Context, period Period, each func(Transaction) error) error {
	after := ""
	for {
		query := url.Values{
			"limit": {"100"}, "expand[]": {"data.source"},
			"created[gte]": {strconv.FormatInt(period.From.Unix(), 10)}, "created[lt]": {strconv.FormatInt(period.End().Unix(), 10)},
		}
		if after != "" {
			query.Set("starting_after", after)
		}
		var page struct {
			Data    []json.RawMessage `json:"data"`
			HasMore bool              `json:"has_more"`
		}
		if err := a.get(ctx, "/v1/balance_transactions?"+query.Encode(), &page); err != nil {
			return err
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
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
	}
}

// errRefused is an answer that no second try makes better.
type errRefused struct{ status, message string }

func (e errRefused) Error() string { return "Stripe answers " + e.status + ": " + e.message }

// get asks again after what passes: 429, 5xx and a broken connection (https://docs.stripe.com/error-low-level).
func (a *API) get(ctx context.Context, path string, into any) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := a.try(ctx, path, into)
		var refused errRefused
		if errors.As(err, &refused) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 500 * time.Millisecond, RandomizationFactor: backoff.DefaultRandomizationFactor, Multiplier: 2, MaxInterval: 20 * time.Second}), backoff.WithMaxElapsedTime(3*time.Minute))
	if err != nil {
		return fmt.Errorf("read balance transactions: %w", err)
	}
	return nil
}

func (a *API) try(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 80*time.Second) // Stripe's own libraries wait as long
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Base+path, nil)
	if err != nil {
		return errRefused{"nothing", "the address " + a.Base + " is not usable"}
	}
	request.Header.Set("Authorization", "Bearer "+a.Key)
	request.Header.Set("Stripe-Version", apiVersion)
	if a.Account != "" {
		request.Header.Set("Stripe-Account", a.Account)
	}
	answer, err := a.Client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		var said struct {
			Error struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		_ = json.Unmarshal(body, &said) // a proxy's page has none
		if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500 {
			return fmt.Errorf("Stripe answers %s: %s", answer.Status, said.Error.Message)
		}
		return errRefused{answer.Status, said.Error.Message}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errRefused{answer.Status, "and no JSON"}
	}
	return nil
}
