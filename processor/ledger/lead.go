package ledger

import (
	"cmp"
	"encoding/hex"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/schemas"
)

// Lead is one row of leads: what a backend, a browser or Stripe reported, with the click it came
// from.
type Lead struct {
	Workspace  string
	ID         [16]byte
	ReceivedAt time.Time
	OccurredAt time.Time // when the person became a lead, as their backend says; else ReceivedAt
	ExternalID string
	EventName  string
	Mode       string
	Quantity   uint8
	Livemode   bool   // what a backend reports is live; Stripe says it of its own
	Vouched    bool   // false: a browser reported it, so anybody may have written it
	EmailHash  string // 16 bytes or empty
	Metadata   map[string]string

	Person    string // who it is, as "type:value": one person counts once, however many leads name them
	Click     join.Click
	MatchRule join.Rule
	MatchKey  string
	Version   Version
}

// NewLead takes a lead as it was reported, with no click known yet.
func NewLead(l *schemas.Lead) Lead {
	row := Lead{
		Workspace: l.Workspace, ID: [16]byte(l.LeadId), ReceivedAt: time.UnixMilli(l.ReceivedAt).UTC(),
		ExternalID: l.ExternalId,
		EventName:  l.EventName, Mode: l.Mode, Quantity: uint8(min(max(l.Quantity, 1), 100)), Livemode: true,
		Vouched:   l.GetVouched(),
		EmailHash: string(l.EmailHash),
		Metadata:  l.Metadata, MatchRule: join.RuleNone,
	}
	if row.OccurredAt = row.ReceivedAt; l.OccurredAt != 0 {
		row.OccurredAt = time.UnixMilli(l.OccurredAt).UTC()
	}
	return row.Uncredited()
}

// Uncredited returns the lead as it is before anything was looked up.
func (l Lead) Uncredited() Lead {
	l.MatchRule, l.Version = join.RuleNone, l.version(extent{})
	return l
}

// LeadNode names a lead.
func LeadNode(id [16]byte) identity.Node {
	return identity.New(identity.Lead, hex.EncodeToString(id[:]))
}

// CreditLead finds the lead's click, and who the person is. The first report of a lead stays, and
// so does what it came from: its version begins with the inverse of received_at, and a click that
// the buyer came to be known by later counts for nothing.
func (k *Evidence) CreditLead(l Lead) Lead {
	at := join.Times{First: l.OccurredAt, Last: l.OccurredAt}
	found := join.NewSearch(k.Graph, k.Clicks, []identity.Node{LeadNode(l.ID)}, at, k.Policies.At(l.OccurredAt))
	c := found.Best()
	l.MatchRule, l.MatchKey = c.Rule, string(c.Key)
	l.Click = join.Click{AffiliateID: c.AffiliateID, ProgramID: c.ProgramID}
	if c.Click != nil {
		l.Click = *c.Click
	}
	l.ExternalID = k.leadExternal(l)
	l.Person = k.person(l)
	var known extent
	known.add(l.ReceivedAt) // itself: a lead that nothing is known of is still more than an uncredited one
	known.names(k, [][]identity.Node{{LeadNode(l.ID)}})
	l.Version = l.version(known)
	return l
}

// leadExternal returns the person's id in the seller's database. Stripe's events report one lead as
// often as its customer or subscription changes, all with the time when it became one, and perhaps
// with another id: the smallest stands, whichever came first.
func (k *Evidence) leadExternal(l Lead) string {
	if l.Mode != StripeLead {
		return l.ExternalID
	}
	var external string
	for _, n := range k.externals(LeadNode(l.ID)) {
		external = smaller(external, n.Value())
	}
	return external
}

// StripeLead is the Mode of a lead that Stripe's events report.
const StripeLead = "stripe"

// person names who a lead is: by the seller's own id, else by the Stripe customer, else by the hash
// of the e-mail address. A customer whose id in the seller's database is learnt from another event
// is known by that; of several the smallest stands, so that the order of learning them does not
// matter. Else it is known by the id that the customer's first e-mail address which anybody
// reported leads to, if there is exactly one: a customer who later has somebody else's address
// stays who they are.
func (k *Evidence) person(l Lead) string {
	if l.ExternalID != "" {
		return string(identity.New(identity.External, l.ExternalID))
	}
	var external, customer string
	var address identity.Edge // of the customer, which leads to somebody
	for _, e := range k.Graph.From(LeadNode(l.ID)) {
		if e.B.Type() != identity.Customer {
			continue
		}
		customer = smaller(customer, string(e.B))
		for _, n := range k.externals(e.B) {
			external = smaller(external, string(n))
		}
		for _, other := range k.Graph.Same(e.B) {
			customer = smaller(customer, string(other))
			for _, n := range k.externals(other) {
				external = smaller(external, string(n))
			}
		}
		for _, of := range k.Graph.From(e.B) {
			if of.B.Type() == identity.Email && len(k.externals(of.B)) > 0 && (address.B == "" ||
				cmp.Or(of.At.Compare(address.At), cmp.Compare(of.B, address.B)) < 0) {
				address = of
			}
		}
	}
	if of := k.externals(address.B); external == "" && len(of) == 1 {
		external = string(of[0])
	}
	switch {
	case external != "":
		return external
	case customer != "":
		return customer
	case l.EmailHash != "":
		return string(identity.New(identity.Email, hex.EncodeToString([]byte(l.EmailHash))))
	}
	return string(LeadNode(l.ID))
}

// externals returns the seller's own ids of a buyer that a name leads to, those of live mode.
func (k *Evidence) externals(n identity.Node) []identity.Node {
	var ids []identity.Node
	for _, e := range k.Graph.From(n) {
		if e.B.Type() == identity.External && !e.B.OfTestMode() {
			ids = append(ids, e.B)
		}
	}
	return ids
}

// version gives the first report of a lead the greatest version, of those of one millisecond one of
// the most seats, and of rows of one report the one that was computed from more evidence. Most
// significant first:
//
//	bits  what
//	44    inverse of received_at
//	7     quantity
//	1     0
//	16    extent, count
//	60    extent, earliness
//
// Where edges were cut the choice among them moves, so that how many there are comes first, as in
// the version of an entry. Of the earliness the last 16 bits are left out then:
//
//	1     1: edges were cut
//	22    how many edges the names have of which some were cut
//	14    extent, count
//	40    extent, earliness
//
// Rows of rules before 9 have the same 44 bits, then 20 of the count, so that each of them is less.
func (l *Lead) version(known extent) Version {
	var v Version
	v.push(44, join.Inverse(44, l.ReceivedAt.UnixMilli()))
	v.push(7, uint64(l.Quantity))
	if known.beyond > 0 {
		v.push(1, 1)
		v.push(22, known.beyond)
		v.push(14, known.count)
		v.push(40, known.earliness>>16)
	} else {
		v.push(1, 0)
		v.push(16, known.count)
		v.push(60, known.earliness)
	}
	return v
}
