package consume

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"tributary/processor/stripe"
	"tributary/processor/stripeapi"
	"tributary/schemas"
)

// ThinGroup is the consumer group that fetches what thin events leave out. It reads the topic of
// events beside the payments' consumer, so that no payment waits for Stripe's API.
const ThinGroup = schemas.ConsumerGroup + "-thin"

// ThinReason is why a thin event is a dead letter.
const ThinReason = "thin_event"

var errThin = errors.New("a thin event holds no object (hint: give the processor a restricted key, " +
	"--stripe-api-key-file, or choose the payload style snapshot for the event destination; " +
	"then processor replay dead-letters --reason " + ThinReason + ")")

// Thin fetches the snapshot of each thin event, and writes it to the topic of events as if it had
// come by itself: a replay needs no network, and whoever receives both forms books one of them.
type Thin struct {
	API     *stripeapi.Client
	Produce func(context.Context, *kgo.Record) error // returns when Kafka has acknowledged
	Log     *slog.Logger

	refused atomic.Pointer[string]
}

// Warning returns what an operator should know; empty: nothing.
func (t *Thin) Warning() string {
	if p := t.refused.Load(); p != nil {
		return *p
	}
	return ""
}

// fetchesAtOnce keeps far below Stripe's limit of 25 reads a second in test mode
// (https://docs.stripe.com/rate-limits).
const fetchesAtOnce = 4

// Handle is the Handler of the consumer of thin events.
func (t *Thin) Handle(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	fetches, ctx := errgroup.WithContext(ctx)
	fetches.SetLimit(fetchesAtOnce)
	for _, r := range records {
		if !bytes.Contains(r.Value, []byte(stripe.ThinObject)) {
			continue
		}
		fetches.Go(func() error {
			snapshot, err := t.waitForKey(ctx, r)
			if err == nil && snapshot != nil {
				err = t.Produce(ctx, snapshot)
			}
			var refused *stripeapi.Refused
			switch {
			case errors.As(err, &refused), errors.Is(err, errSnapshot), errors.Is(err, stripe.ErrNoObject),
				errors.Is(err, kerr.MessageTooLarge):
				return deadLetter(ctx, r, "fetch", ThinReason, err)
			}
			return err
		})
	}
	return fetches.Wait()
}

// keyPause is how long a key that Stripe does not know is left alone. It is a variable for the
// tests.
var keyPause = time.Minute

// waitForKey fetches a snapshot. A key that Stripe does not know is the operator's to correct, and
// no fault of the event: it waits.
func (t *Thin) waitForKey(ctx context.Context, r *kgo.Record) (*kgo.Record, error) {
	for {
		snapshot, err := t.Snapshot(ctx, r)
		var refused *stripeapi.Refused
		if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
			t.refused.Store(nil)
			return snapshot, err
		}
		warning := "thin events wait: " + err.Error() + " (hint: --stripe-api-key-file)"
		if before := t.refused.Swap(&warning); before == nil {
			t.Log.Error("thin events wait for a key that Stripe knows", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(keyPause):
		}
	}
}

var errSnapshot = errors.New("Stripe's answer is not the snapshot of this event")

// Snapshot returns the record of the snapshot of a thin event: its key, account and time of receipt
// are the thin event's. It returns nil for what is no thin event, or would say nothing about money
// or names.
func (t *Thin) Snapshot(ctx context.Context, r *kgo.Record) (*kgo.Record, error) {
	e, thin, ok := readThin(r)
	if !ok {
		return nil, nil
	}
	snapshot := *e
	snapshot.Thin = false
	if thin.Snapshot != "" {
		body, err := t.get(ctx, e, "/v1/events/"+thin.Snapshot, "")
		if err == nil {
			return t.event(&snapshot, thin, body, r.Key)
		}
		var refused *stripeapi.Refused
		if thin.Object == "" || !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
			return nil, fmt.Errorf("fetch event %s: %w", thin.Snapshot, err)
		}
	}
	path, version := objectPath(thin)
	if path == "" {
		return nil, fmt.Errorf("%w: it names neither a snapshot nor a known object", errSnapshot)
	}
	object, err := t.get(ctx, e, path, version)
	if err != nil {
		return nil, fmt.Errorf("fetch object %s: %w", thin.Object, err)
	}
	if snapshot.ID, snapshot.Body, err = thin.Event(object, version); err != nil {
		return nil, err
	}
	snapshot.Type, snapshot.APIVersion = thin.SnapshotType(), version
	return schemas.StripeRecord(&snapshot, string(r.Key)), nil
}

// readThin reads a record, and reports whether it is a thin event of a type that this program
// reads. The payments consumer makes a dead letter of a record that cannot be read.
func readThin(r *kgo.Record) (*schemas.StripeEvent, stripe.Thin, bool) {
	e, err := schemas.DecodeStripe(r)
	if err != nil {
		return nil, stripe.Thin{}, false
	}
	thin, err := stripe.ReadThin(e.Body)
	return e, thin, err == nil && thin.Known()
}

// event makes the record of a snapshot that Stripe still has.
func (t *Thin) event(e *schemas.StripeEvent, thin stripe.Thin, body, key []byte) (*kgo.Record, error) {
	var b struct {
		ID, Object, Type string
		Livemode         bool
		APIVersion       string `json:"api_version"`
	}
	err := json.Unmarshal(body, &b)
	if err != nil || b.Object != "event" || b.ID != thin.Snapshot || b.Type != thin.SnapshotType() {
		return nil, fmt.Errorf("%w: object %q, id %q, type %q", errSnapshot, b.Object, b.ID, b.Type)
	}
	e.ID, e.Type, e.Livemode, e.APIVersion, e.Body = b.ID, b.Type, b.Livemode, b.APIVersion, body
	return schemas.StripeRecord(e, string(key)), nil
}

func (t *Thin) get(ctx context.Context, e *schemas.StripeEvent, path, version string) ([]byte, error) {
	if version == "" {
		version = stripeapi.Version
	}
	return t.API.Get(ctx, stripeapi.Request{Path: path, Account: e.Account, Livemode: e.Livemode, Version: version})
}

// accountsVersion is a version of the API that has accounts as customers.
const accountsVersion = "2026-04-22.dahlia"

// objectPath returns where the object of a thin event is read, and in which version; empty if it is
// nothing that is read.
func objectPath(thin stripe.Thin) (path, version string) {
	switch {
	case strings.ContainsAny(thin.Object, "?#\\") || strings.Contains(thin.Object, ".."):
		return "", ""
	case strings.HasPrefix(thin.Object, "/v1/invoice_payments/"):
		return thin.Object, stripeapi.InvoicePaymentsVersion
	case strings.HasPrefix(thin.Object, "/v1/"):
		return thin.Object, stripeapi.Version
	case strings.HasPrefix(thin.Object, "/v2/core/accounts/"):
		return thin.Object + "?include=configuration.customer", accountsVersion
	}
	return "", ""
}
