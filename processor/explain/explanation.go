package explain

import (
	"errors"
	"time"

	"tributary/processor/join"
	"tributary/processor/ledger"
)

// ErrUnknown is returned when nothing is stored about the object.
var ErrUnknown = errors.New("nothing is known about this object")

// Bounds of one explanation: of a click with very many sales the newest are explained.
const (
	maxSales    = 50
	maxObjects  = 2000            // looked up to find the newest sales
	maxMentions = 300             // events and dead letters
	maxSearched = 200             // ids that bodies are searched for; ClickHouse takes 255
	searchTime  = 8 * time.Second // for the bodies, which have no index
)

// Explanation is all that is known about one sale, or about each sale that a name leads to.
type Explanation struct {
	Asked     string `json:"asked"`
	Workspace string `json:"workspace"`
	Sales     []Sale `json:"sales"` // the newest first
	Leads     []Lead `json:"leads"`
	More      int    `json:"more"` // how many sales are left out
	// Searched is false if the raw events could not all be searched in time: then those without an
	// amount are missing.
	Searched bool `json:"searched"`
}

// Sale is one payment with all that belongs to it.
type Sale struct {
	Canonical   string       `json:"canonical"` // the object under which it is booked
	Objects     []string     `json:"objects"`   // all objects of the same sale, and its refunds and disputes
	Events      []Event      `json:"events"`    // in the order in which Stripe made them
	DeadLetters []DeadLetter `json:"dead_letters"`
	Names       []Name       `json:"names"` // the edges that lead from it
	Policy      Policy       `json:"policy"`
	Candidates  []Candidate  `json:"candidates"` // the credited one first
	Entries     []Entry      `json:"entries"`
}

// Event is one event of Stripe that mentions the sale.
type Event struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"` // empty: the raw event was not found in time
	Created    time.Time `json:"created"`
	ReceivedAt time.Time `json:"received_at"`
	APIVersion string    `json:"api_version"`
	Money      []Money   `json:"money"` // empty: no amount is read from it
}

// Money is a fact of an event about one movement. Amounts are minor units, signed.
type Money struct {
	Kind     string `json:"kind"`
	Object   string `json:"object"`
	Source   string `json:"source"`
	Amount   int64  `json:"amount_minor"`
	Total    int64  `json:"total_minor"` // of an invoice, of an unpaid session, and what was authorised
	Currency string `json:"currency"`
	Certain  bool   `json:"certain"`
}

// DeadLetter is a record that could not be read and mentions the sale.
type DeadLetter struct {
	Origin string    `json:"origin"` // topic/partition/offset
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Name is one identity edge.
type Name struct {
	From   string    `json:"from"`
	To     string    `json:"to"`
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

// Policy is the attribution policy that was in force when the sale happened.
type Policy struct {
	WindowDays   int    `json:"window_days"`
	Touch        string `json:"touch"`
	Follow       string `json:"follow"`
	RenewalsDays int    `json:"renewals_days"` // 0: always
}

// Candidate is a click, an affiliate or a name that could have been credited, and the outcome.
type Candidate struct {
	Outcome     join.Outcome `json:"verdict"` // the name that readers of the API know
	Why         string       `json:"why"`
	Rule        string       `json:"rule"`
	Key         string       `json:"key"`
	ClickID     string       `json:"click_id"`
	ClickedAt   *time.Time   `json:"clicked_at"`
	ReceivedAt  *time.Time   `json:"received_at"` // when the click reached us
	AffiliateID string       `json:"affiliate_id"`
	ProgramID   string       `json:"program_id"`
	LinkID      string       `json:"link_id"`
}

// Entry is one movement with every version that its row has had, the oldest first; the last one
// stands.
type Entry struct {
	ID       string    `json:"entry_id"`
	Kind     string    `json:"kind"`
	Object   string    `json:"object"`
	Versions []Version `json:"versions"`
}

// Version is one row, and what was learned since the one before.
type Version struct {
	VersionRow
	Learned ledger.Learned `json:"learned"` // empty for the first
	Because string         `json:"because"`
	Changes []string       `json:"changes"`
}

// Lead is a lead that the name leads to.
type Lead struct {
	ID          string    `json:"lead_id"`
	Event       string    `json:"event"`
	ExternalID  string    `json:"external_id"`
	ReceivedAt  time.Time `json:"received_at"`
	Mode        string    `json:"mode"`
	Rule        string    `json:"rule"`
	Key         string    `json:"key"`
	ClickID     string    `json:"click_id"`
	AffiliateID string    `json:"affiliate_id"`
}
