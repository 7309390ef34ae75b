package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"tributary/schemas"
)

// envelope is what the webhook reads of an event. The rest stays unread: what an event means is
// decided where it can be decided again, from the kept bytes.
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
			ID              string          `json:"id"`
			Object          string          `json:"object"`
			Customer        json.RawMessage `json:"customer"`         // an id, an expanded object, or null
			CustomerAccount json.RawMessage `json:"customer_account"` // the same, of a customer that is an account
		} `json:"object"`
	} `json:"data"`
	Related struct { // thin events name their object only
		ID string `json:"id"`
	} `json:"related_object"`
}

// thinObject is the object of a thin event, for resources of both of Stripe's APIs
// (https://docs.stripe.com/event-destinations#thin-events).
const thinObject = "v2.core.event"

// A signed body that is no event. The errors say what is wrong and repeat nothing of the body,
// which may hold a customer's data.
var (
	errNotJSON  = errors.New("the body is not JSON of an event's shape")
	errBOM      = errors.New("the body begins with a byte order mark, which Stripe never sends: something has changed it")
	errObject   = errors.New("its object is neither event nor " + thinObject)
	errNameless = errors.New("id or type is missing")
)

// parseEvent reads the envelope of a snapshot event (object "event") or of a thin one. The event
// keeps body itself. key is the record's key: the customer, so that one customer's events keep
// their order, else the customer's account, else the object.
func parseEvent(body []byte, received time.Time) (event *schemas.StripeEvent, key string, err error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		if bytes.HasPrefix(body, []byte("\ufeff")) {
			return nil, "", errBOM
		}
		return nil, "", errNotJSON
	}
	switch {
	case e.Object != "event" && e.Object != thinObject:
		return nil, "", errObject
	case e.ID == "" || e.Type == "":
		return nil, "", errNameless
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
	for _, key = range []string{customer, idOf(o.CustomerAccount), o.ID, e.Related.ID, e.ID} {
		if key != "" {
			break
		}
	}
	return &schemas.StripeEvent{
		ID: e.ID, Type: e.Type, Account: account, APIVersion: e.APIVersion, Livemode: e.Livemode,
		Thin: e.Object == thinObject, ReceivedAt: received, Body: body,
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
