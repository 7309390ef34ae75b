package traffic

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tributary/schemas"
)

// Lead is one body of POST /v1/leads: a person whom the backend knows came through a click.
type Lead struct {
	SendAt     time.Time
	ClickID    schemas.ClickID
	ExternalID string // the person's id in the business's own database
	Event      string
	Email      string
}

// MarshalJSON writes the body that the edge expects.
func (l Lead) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"click_id": l.ClickID.String(), "external_id": l.ExternalID, "event_name": l.Event, "email": l.Email,
		"mode": "async", "quantity": 1,
	})
}

// person is somebody the business knows by name.
type person struct {
	external, name, email string
	country               country
}

// person names a visitor. No two people share an address: an e-mail match never joins strangers.
func (w *World) person(v visitor) person {
	first, last := pick(w, firstNames), pick(w, lastNames)
	tag := w.hex(5)
	return person{
		external: "user_" + tag, name: first + " " + last, country: v.country,
		email: fmt.Sprintf("%s.%s@mail.example", strings.ToLower(last), tag),
	}
}

// lead signs a person up, unless that lies after the end.
func (w *World) lead(c Click, p person, at time.Time) bool {
	if at.After(w.opts.Until) {
		return false
	}
	w.Leads = append(w.Leads, Lead{SendAt: at, ClickID: c.ID, ExternalID: p.external, Event: "Sign up", Email: p.email})
	return true
}
