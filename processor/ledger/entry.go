package ledger

import (
	"crypto/sha256"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/join"
)

// Status of an entry.
type Status string

// Booked entries are summed. A held one is of an account that no workspace lists. A superseded one
// is booked under another object, or was held and is booked in the workspace that lists its
// account.
const (
	Booked     Status = "booked"
	Held       Status = "held"
	Superseded Status = "superseded"
)

// EntryID is the identity of one movement of money.
type EntryID [16]byte

// NewEntryID hashes what a movement is: never an event's id, an offset or anything random, so that
// whoever books it, and however often, books the same entry. part distinguishes what one object
// moved in several steps: a charge's refunded total and its second, the balance transaction of a
// dispute; it is empty for anything else.
func NewEntryID(account string, livemode bool, objectID, kind, part string) EntryID {
	key := append(make([]byte, 0, 128), account...) // 128: what a key rarely exceeds
	key = append(append(key, 0), objectID...)
	key = append(append(key, 0), kind...)
	if !livemode {
		key = append(key, "\x00test"...)
	}
	if part != "" {
		key = append(append(key, 0), part...)
	}
	sum := sha256.Sum256(key)
	return EntryID(sum[:16])
}

// Entry is one row of the ledger. Amounts are minor units, signed: money out is negative.
type Entry struct {
	Workspace string
	ID        EntryID
	Account   string
	Livemode  bool
	Kind      string
	ObjectID  string
	SaleID    string

	OccurredAt, ReceivedAt                                        time.Time
	CustomerID, ExternalCustomerID, SubscriptionID, BillingReason string

	Currency                        string
	Amount, Tax, Shipping, Discount int64
	TaxDerived                      bool
	Products                        []Part // that add up to Amount less Tax; none: no product is named

	AmountUSD, NetUSD *decimal.Decimal // nil without a rate
	FXRate            *decimal.Decimal // USD per major unit
	FXDate            time.Time
	FXSource          string
	FXFinal           bool

	Click join.Click // what is copied from the credited click; without one, the affiliate and programme alone

	MatchRule       join.Rule
	MatchKey        string
	MatchCandidates []string

	Status       Status
	SupersededBy string // the other object; the entry's own if it was held
	Version      Version

	transaction string // the balance transaction by which a dispute's money moved; empty if unknown
	charge      string // that paid, where another charge of the payment failed; empty if unknown
	beyond      int64  // of a payment, what was paid beyond the total that its tax is of
}
