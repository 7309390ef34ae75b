package send

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// What the edge takes in one request.
const (
	MaxBatch      = 1000
	maxBatchBytes = 1 << 20
)

// Edge sends clicks and leads.
type Edge struct {
	Client *Client
	Base   string // URL without trailing slash
	// SecretKey of the workspace. Without it the edge takes time, agent and country from the
	// request, as it must from a browser, and refuses leads.
	SecretKey string
}

func (e *Edge) headers() []header {
	if e.SecretKey == "" {
		return nil
	}
	return []header{{"Authorization", "Bearer " + e.SecretKey}}
}

// Click posts one event to /v1/click.
func (e *Edge) Click(ctx context.Context, event []byte) error {
	_, err := e.Client.post(ctx, e.Base+"/v1/click", event, e.headers)
	return err
}

// Lead posts one lead.
func (e *Edge) Lead(ctx context.Context, lead []byte) error {
	_, err := e.Client.post(ctx, e.Base+"/v1/leads", lead, e.headers)
	return err
}

// Clicks posts events to /v1/clicks in as many requests as they need, and counts each event's fate.
// Its error is the caller's context having ended; everything else is in the tally.
func (e *Edge) Clicks(ctx context.Context, events [][]byte, t *Tally) error {
	for len(events) > 0 {
		n, size := 0, 2
		for n < len(events) && n < MaxBatch && (n == 0 || size+len(events[n])+1 <= maxBatchBytes) {
			size += len(events[n]) + 1
			n++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e.batch(ctx, events[:n], t)
		events = events[n:]
	}
	return ctx.Err()
}

func (e *Edge) batch(ctx context.Context, events [][]byte, t *Tally) {
	body := append(append([]byte{'['}, bytes.Join(events, []byte{','})...), ']')
	answer, err := e.PostBatch(ctx, body)
	if err != nil {
		if ctx.Err() == nil { // otherwise it was stopped, not refused
			t.Refuse(err, len(events))
		}
		return
	}
	for _, r := range answer.Rejected {
		t.Refuse(errors.New(r.Reason()), 1)
	}
	t.Accept(answer.Accepted)
	if lost := len(events) - answer.Accepted - len(answer.Rejected); lost > 0 {
		t.Refuse(errors.New("the edge's answer does not mention the event"), lost)
	}
}

// BatchAnswer is what /v1/clicks says.
type BatchAnswer struct {
	Accepted int
	Rejected []Rejection
}

// Rejection is one event of a batch that was not kept.
type Rejection struct {
	Index int             // in the batch, from 0
	Error json.RawMessage // a text, or an object with code and message
}

// Reason is Error as text.
func (r Rejection) Reason() string {
	var text string
	if json.Unmarshal(r.Error, &text) == nil {
		return text
	}
	var e struct{ Code, Message string }
	if json.Unmarshal(r.Error, &e) == nil && e.Code+e.Message != "" {
		return e.Code + ": " + e.Message
	}
	return string(r.Error)
}

// PostBatch posts one body that is already a JSON array or NDJSON.
func (e *Edge) PostBatch(ctx context.Context, body []byte) (BatchAnswer, error) {
	var a BatchAnswer
	answer, err := e.Client.post(ctx, e.Base+"/v1/clicks", body, e.headers)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return a, fmt.Errorf("read answer of /v1/clicks: %w (hint: is this Tributary's edge?)", err)
	}
	return a, nil
}
