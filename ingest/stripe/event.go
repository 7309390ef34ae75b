package stripe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tributary/schemas"
)

// errNotEvent says that a correctly signed body is no Stripe event.
var errNotEvent = errors.New("not a Stripe event")

// envelope is what the webhook reads of an event. The rest stays unread: what an event means is decided where it can be
// decided again, from the kept bytes.
type envelope struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Type       string `json:"type"`
	Account    string `json:"account"` // a connected account
	Context    string `json:"context"` // the same in thin events: acct_…, or a path that begins so
	APIVersion string `json:"api_version"`
	Livemode   bool   `json:"livemode"`
	Data       struct {
		Object struct {
			ID       string          `json:"id"`
			Object   string          `json:"object"`
			Customer json.RawMessage `json:"customer"` // an id, an expanded object, or null
		} `json:"object"`
	} `json:"data"`
	Related struct { // thin events name their object only
		ID string `json:"id"`
	} `json:"related_object"`
}

// parseEvent reads the envelope of a snapshot event (object "event") or of a thin one ("v2.core.event"). The event keeps
// body itself. key is the record's key: the customer, so that one customer's events keep their order, else the object.
func parseEvent(body []byte, received time.Time) (event *schemas.StripeEvent, key string, err error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errNotEvent, err)
	}
	switch {
	case e.Object != "event" && e.Object != "v2.core.event":
		return nil, "", fmt.Errorf("%w: object is %q", errNotEvent, e.Object)
	case e.ID == "" || e.Type == "":
		return nil, "", fmt.Errorf("%w: id or type is missing", errNotEvent)
	}
	account := e.Account
	if account == "" && strings.HasPrefix(e.Context, "acct_") {
		account, _, _ = strings.Cut(e.Context, "/")
	}
	o := e.Data.Object
	customer := ""
	if o.Object == "customer" { // customer.created, .updated, .deleted: the object is the customer
		customer = o.ID
	} else {
		customer = idOf(o.Customer)
	}
	for _, key = range []string{customer, o.ID, e.Related.ID, e.ID} {
		if key != "" {
			break
		}
	}
	return &schemas.StripeEvent{
		ID: e.ID, Type: e.Type, Account: account, APIVersion: e.APIVersion, Livemode: e.Livemode, ReceivedAt: received, Body: body,
	}, key, nil
}

// idOf reads a reference that Stripe may have expanded into the object itself.
func idOf(v json.RawMessage) string {
	var id string
	if json.Unmarshal(v, &id) == nil {
		return id
	}
	var object struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(v, &object) // anything else: no customer is known
	return object.ID
}
