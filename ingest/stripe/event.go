package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"tributary/schemas"
)

// envelope is what the webhook reads of an event. The rest stays unread: what an event means is
// decided where it can be decided again, from the kept bytes.
type envelope struct {
	ID         string
	Object     string
	Type       string
	Account    string // a connected account
	Context    string // the same in thin events: acct_…, or a path that begins so
	APIVersion string
	Livemode   bool
	Data       struct {
		Object struct {
			ID              string          `json:"id"`
			Object          string          `json:"object"`
			Customer        json.RawMessage `json:"customer"`         // an id, an expanded object, or null
			CustomerAccount json.RawMessage `json:"customer_account"` // the same, of a customer that is an account
		} `json:"object"`
	}
	Related struct { // thin events name their object only
		ID string `json:"id"`
	}
}

// parse reads the envelope as every reader of the body does. Of two equal names one reader takes
// the first, another the last, and some know no difference between small letters and capitals: a
// secret that signs for one account could then sign for another. Stripe's events have a dozen
// names.
func (e *envelope) parse(body []byte) error {
	fields := map[string]any{"id": &e.ID, "object": &e.Object, "type": &e.Type, "account": &e.Account,
		"context": &e.Context, "api_version": &e.APIVersion, "livemode": &e.Livemode, "data": &e.Data,
		"related_object": &e.Related}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errNotJSON
	}
	var names []string
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok || len(names) == maxNames {
			return errNotJSON
		}
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return errTwice
		}
		names = append(names, name)
		into := fields[name]
		if into == nil {
			into = new(json.RawMessage)
		}
		if d.Decode(into) != nil {
			return errNotJSON
		}
	}
	if _, err := d.Token(); err != nil { // the closing bracket
		return errNotJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errNotJSON
	}
	return nil
}

// maxNames is several times what an event has.
const maxNames = 100

// thinObject is the object of a thin event, for resources of both of Stripe's APIs
// (https://docs.stripe.com/event-destinations#thin-events).
const thinObject = "v2.core.event"

// A signed body that is no event. The errors say what is wrong and repeat nothing of the body,
// which may hold a customer's data.
var (
	errNotJSON  = errors.New("the body is not JSON of an event's shape")
	errBOM      = errors.New("the body begins with a byte order mark, which Stripe never sends: something has changed it")
	errTwice    = errors.New("one of its names stands there twice, which no event of Stripe's has")
	errObject   = errors.New("its object is neither event nor " + thinObject)
	errNameless = errors.New("id or type is missing")
)

// parseEvent reads the envelope of a snapshot event (object "event") or of a thin one. The event
// keeps body itself. key is the record's key: the customer, so that one customer's events keep
// their order, else the customer's account, else the object.
func parseEvent(body []byte, received time.Time) (event *schemas.StripeEvent, key string, err error) {
	var e envelope
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		return nil, "", errBOM
	}
	if err := e.parse(body); err != nil {
		return nil, "", err
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
