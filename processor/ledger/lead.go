package ledger

import (
	"encoding/hex"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/schemas"
)

// Lead is one row of leads: what a backend reported, with the click it came from.
type Lead struct {
	Workspace  string
	ID         [16]byte
	ReceivedAt time.Time
	ExternalID string
	EventName  string
	Mode       string
	Quantity   uint8
	EmailHash  string // 16 bytes or empty
	Metadata   map[string]string

	Click     join.Click
	MatchRule join.Rule
	MatchKey  string
	Version   Version
}

// NewLead takes a lead as it was told, with no click known yet.
func NewLead(l *schemas.Lead) Lead {
	row := Lead{
		Workspace: l.Workspace, ID: [16]byte(l.LeadId), ReceivedAt: time.UnixMilli(l.ReceivedAt).UTC(), ExternalID: l.ExternalId,
		EventName: l.EventName, Mode: l.Mode, Quantity: uint8(min(max(l.Quantity, 1), 100)), EmailHash: string(l.EmailHash),
		Metadata: l.Metadata, MatchRule: join.RuleNone,
	}
	return row.Uncredited()
}

// Uncredited gives the lead as it is before anything was looked up.
func (l Lead) Uncredited() Lead {
	l.MatchRule, l.Version = join.RuleNone, leadVersion(l.ReceivedAt, join.RuleNone, 0, 0)
	return l
}

// LeadNode names a lead.
func LeadNode(id [16]byte) identity.Node {
	return identity.New(identity.Lead, hex.EncodeToString(id[:]))
}

// CreditLead finds the lead's click. The first telling of a lead stays: its version begins with the
// inverse of received_at.
func (k *Evidence) CreditLead(l Lead) Lead {
	found := join.NewSearch(k.Graph, k.Clicks, []identity.Node{LeadNode(l.ID)}, join.Times{}, k.Policies.At(l.ReceivedAt))
	c := found.Best()
	l.MatchRule, l.MatchKey = c.Rule, string(c.Key)
	l.Click = join.Click{AffiliateID: c.AffiliateID, ProgramID: c.ProgramID}
	if c.Click != nil {
		l.Click = *c.Click
	}
	l.Version = leadVersion(l.ReceivedAt, c.Rule, found.VersionOrder(c), found.Knowledge)
	return l
}

// leadVersion begins with the inverse of received_at, then has the rule of the credit, its order
// within the rule, and how much is known of it.
func leadVersion(received time.Time, rule join.Rule, order uint64, knowledge int) Version {
	var v Version
	v.push(44, join.Inverse(44, received.UnixMilli()))
	v.push(25, 0)
	v.push(4, uint64(rule.Rank()))
	v.push(join.OrderBits, order)
	v.push(11, uint64(knowledge))
	v.push(2, 0)
	return v
}
