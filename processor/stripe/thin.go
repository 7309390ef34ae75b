package stripe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tributary/processor/identity"
)

// ThinObject is the object of a thin event. Thin events exist for the resources of both of Stripe's
// APIs: v1.invoice.paid says that there is a snapshot event invoice.paid.
// https://docs.stripe.com/event-destinations#thin-events
const ThinObject = "v2.core.event"

// Thin is a thin event: it names what changed, and holds none of it.
type Thin struct {
	ID, Type string
	Created  time.Time // UTC, milliseconds
	Livemode bool
	// Snapshot is the event of the same change that holds the object; empty if there is none.
	Snapshot string
	// Object is where the changed object can be read, a path of Stripe's API; empty if the event
	// names none.
	Object string
}

// ReadThin reads a thin event. The error is ErrNotEvent for anything else.
func ReadThin(body []byte) (Thin, error) {
	var b struct {
		ID, Object, Type, Created string
		Livemode                  bool
		Snapshot                  string `json:"snapshot_event"`
		Related                   struct {
			URL string `json:"url"`
		} `json:"related_object"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return Thin{}, fmt.Errorf("%w: %w", ErrNotEvent, err)
	}
	if b.Object != ThinObject || b.ID == "" || b.Type == "" {
		return Thin{}, fmt.Errorf("%w: id or type is missing, or its object is not %s", ErrNotEvent, ThinObject)
	}
	created, err := time.Parse(time.RFC3339, b.Created)
	if err != nil || created.Unix() < 0 || created.Unix() > latest {
		return Thin{}, &ShapeError{Paths: []string{"created"}}
	}
	return Thin{b.ID, b.Type, created.UTC(), b.Livemode, b.Snapshot, b.Related.URL}, nil
}

// readThin reads what a thin event says by itself: when it was made, and whether more can be
// fetched.
func readThin(body []byte, facts *Facts) error {
	t, err := ReadThin(body)
	known := err == nil && t.Known()
	facts.Created, facts.Thin, facts.Known = t.Created, known, known
	return err
}

// Known reports whether the event would say anything about money or names, if it held its object.
func (t Thin) Known() bool { return Reads(t.SnapshotType()) }

// SnapshotType returns the type of the event that holds the object.
func (t Thin) SnapshotType() string { return strings.TrimPrefix(t.Type, "v1.") }

// ErrNoObject says that an answer of Stripe's is not the object that was asked for.
var ErrNoObject = errors.New("Stripe's answer is not the object that the event names")

// Event returns a snapshot event around the object as Stripe gave it, byte for byte, and the
// event's id. It stands in for a snapshot that does not exist or is older than the thirty days that
// Stripe keeps. Its id follows from the thin event's alone, so that it is one event however often
// it is made; fetched_from says what it is.
func (t Thin) Event(object []byte, apiVersion string) (id string, body []byte, err error) {
	if f := families[t.SnapshotType()]; !json.Valid(object) || f.object != kindOf(object) {
		return "", nil, ErrNoObject
	}
	id = t.ID + "_object"
	head, err := json.Marshal(map[string]any{
		"id": id, "object": "event", "type": t.SnapshotType(), "created": t.Created.Unix(), "livemode": t.Livemode,
		"api_version": apiVersion, "fetched_from": t.Object,
	})
	if err != nil {
		return "", nil, err
	}
	return id, fmt.Appendf(nil, `%s,"data":{"object":%s}}`, head[:len(head)-1], object), nil
}

func kindOf(object []byte) string {
	var o struct{ Object string }
	_ = json.Unmarshal(object, &o) // a list or a word is no object
	return o.Object
}

// readAccount reads v2.core.account…: a customer that is an account. It names what a customer's own
// events name. https://docs.stripe.com/api/v2/core/accounts/object
func readAccount(ev *event, a object) {
	node := ev.node(identity.Customer, a.mustText("id"))
	ev.credit(ev.metadata(a, "metadata"), node)
	ev.email(a, "contact_email", node)
}
