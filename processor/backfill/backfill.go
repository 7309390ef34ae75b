// Package backfill brings past money from Stripe's API into the topic of events: as events where
// Stripe still has them, and older money as events made of the objects. The processors book both as
// they book webhooks, so that a backfill done twice, or beside live webhooks, changes nothing.
package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/stripe"
	"tributary/processor/stripeapi"
	"tributary/schemas"
)

// Backfill of one account in one mode.
type Backfill struct {
	API      *stripeapi.Client
	Account  string // acct_… of a connected account; empty: the key's own
	Livemode bool
	// Since and Until are the period in which money moved, UTC; Until is not in it.
	Since, Until time.Time
	// Produce returns when Kafka has acknowledged all records; nil: nothing is written, and nothing
	// remembered.
	Produce func(context.Context, []*kgo.Record) error
	Store   Store
	Log     *slog.Logger
	Now     func() time.Time
}

// Result counts the events that were written, or would be, by where they are from.
type Result struct {
	Resumed bool
	Written map[string]int
}

// slack is how much is read on either side of a period, and of the time from which Stripe still has
// events. The event that reports a movement is made some seconds before or after the balance
// transaction that an object is dated by: what lies between the two would be in neither of two
// periods that touch. What is read twice changes nothing.
const slack = 5 * time.Minute

// maxSkew is how far this machine's clock may be from Stripe's: an hour is left for reading events
// that Stripe is about to forget.
const maxSkew = time.Hour

// Run reads everything of the period, from where an earlier run of the same period has stopped.
func (b *Backfill) Run(ctx context.Context) (*Result, error) {
	result := &Result{Written: make(map[string]int)}
	if err := b.checkAccount(ctx); err != nil {
		return result, err
	}
	p := Progress{Since: b.Since.Unix(), Until: b.Until.Unix(), Events: b.Now().Add(spare - kept).Unix()}
	if b.Produce != nil {
		saved, found, err := b.Store.Load(ctx)
		if err != nil {
			return result, err
		}
		if found && !saved.Done && saved.Since == p.Since && saved.Until == p.Until && saved.Events > b.forgotten() {
			p, result.Resumed = saved, true
			b.Log.Info("the backfill goes on where it was", "list", name(p.Step), "after", p.After)
		}
	}
	for p.Step < len(lists) {
		if err := b.list(ctx, &p, result); err != nil {
			return result, fmt.Errorf("backfill %s: %w", lists[p.Step].path, err)
		}
		p.Step, p.After = p.Step+1, ""
		if err := b.save(ctx, p); err != nil {
			return result, err
		}
	}
	if err := b.events(ctx, &p, result); err != nil {
		return result, fmt.Errorf("backfill events: %w", err)
	}
	p.Done = true
	return result, b.save(ctx, p)
}

// checkAccount refuses the key's own account as a connected one. Events of it name no account, so
// that all of its money would be booked once more, under its name. A key that may not read which
// account it is of is not held up.
func (b *Backfill) checkAccount(ctx context.Context) error {
	if b.Account == "" {
		return nil
	}
	body, err := b.API.Get(ctx, stripeapi.Request{Path: "/v1/account", Livemode: b.Livemode, Version: stripeapi.Version})
	var refused *stripeapi.Refused
	if errors.As(err, &refused) {
		return nil
	}
	var own struct{ ID string }
	if err == nil {
		err = json.Unmarshal(body, &own)
	}
	switch {
	case err != nil:
		return fmt.Errorf("read whose the key is: %w", err)
	case own.ID == b.Account:
		return fmt.Errorf("%s is the key's own account (hint: leave out --account, which names a connected one)", own.ID)
	}
	return nil
}

// forgotten is the time before which Stripe has no events any more, Unix seconds.
func (b *Backfill) forgotten() int64 { return b.Now().Add(maxSkew - kept).Unix() }

func name(step int) string {
	if step < len(lists) {
		return lists[step].path
	}
	return "/v1/events"
}

// list reads one list of objects, the newest first. What the events of the last thirty days say
// better is left to them: only what happened before is made of objects.
func (b *Backfill) list(ctx context.Context, p *Progress, result *Result) error {
	l := &lists[p.Step]
	since, until := time.Unix(p.Since, 0), time.Unix(min(p.Until, p.Events), 0)
	if !since.Before(until) && l.reach < forever {
		return nil // events say all of the period's money; its buyers may have been named long before
	}
	since, until = since.Add(-slack), until.Add(slack)
	events := func(raw json.RawMessage) ([]*kgo.Record, error) {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, fmt.Errorf("read an object: %w", err)
		}
		if o.Deleted {
			return nil, nil // nothing is left of it that names anybody
		}
		if o.ID == "" || o.Created == 0 {
			return nil, errors.New("an object has no id, or no time of creation")
		}
		if o.Livemode != nil && *o.Livemode != b.Livemode {
			return nil, fmt.Errorf("%s is of the other mode (hint: --test reads test mode, with a test key)", o.ID)
		}
		var records []*kgo.Record
		list, namesOnly := l.within(&o, since, until)
		for _, m := range list {
			r, err := b.record(l, &o, raw, m, namesOnly)
			if err != nil {
				return nil, err
			}
			records = append(records, r)
		}
		return records, nil
	}
	return b.pages(ctx, p, l.path, l.parameters(since, until), l.apiVersion(), result, events)
}

// events reads the events that Stripe still has, as it once sent them.
func (b *Backfill) events(ctx context.Context, p *Progress, result *Result) error {
	from := max(p.Since, p.Events)
	if from >= p.Until {
		return nil
	}
	if p.Events < b.forgotten() {
		return errors.New("it has taken so long that Stripe has forgotten events " +
			"(hint: start it again; what is written stays)")
	}
	query := url.Values{
		"created[gte]": {strconv.FormatInt(time.Unix(from, 0).Add(-slack).Unix(), 10)},
		"created[lt]":  {strconv.FormatInt(time.Unix(p.Until, 0).Add(slack).Unix(), 10)},
	}
	event := func(raw json.RawMessage) ([]*kgo.Record, error) {
		var e struct {
			ID, Object, Type string
			Livemode         bool
			APIVersion       string `json:"api_version"`
			Data             struct{ Object object }
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		if e.Object != "event" || e.ID == "" {
			return nil, fmt.Errorf("read an event: object %q, id %q", e.Object, e.ID)
		}
		if e.Livemode != b.Livemode || !stripe.Reads(e.Type) {
			return nil, nil
		}
		return []*kgo.Record{schemas.StripeRecord(&schemas.StripeEvent{
			ID: e.ID, Type: e.Type, Account: b.Account, Livemode: e.Livemode, APIVersion: e.APIVersion,
			ReceivedAt: b.Now(), Body: raw,
		}, e.Data.Object.key())}, nil
	}
	return b.pages(ctx, p, "/v1/events", query, stripeapi.Version, result, event)
}

// write writes what records makes of each object, and returns how many records that were.
func (b *Backfill) write(
	ctx context.Context, objects []json.RawMessage, records func(json.RawMessage) ([]*kgo.Record, error),
) (int, error) {
	var batch []*kgo.Record
	for _, raw := range objects {
		made, err := records(raw)
		if err != nil {
			return 0, err
		}
		batch = append(batch, made...)
	}
	if b.Produce != nil && len(batch) > 0 {
		if err := b.Produce(ctx, batch); err != nil {
			return 0, fmt.Errorf("write to Kafka: %w", err)
		}
	}
	return len(batch), nil
}

func (b *Backfill) save(ctx context.Context, p Progress) error {
	if b.Produce == nil {
		return nil
	}
	p.At = b.Now().Unix()
	return b.Store.Save(ctx, p)
}

// paths returns all lists that are read.
func paths() []string {
	paths := []string{"/v1/events"}
	for _, l := range lists {
		paths = append(paths, l.path)
	}
	slices.Sort(paths)
	return paths
}
