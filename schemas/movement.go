package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Movement is money that Stripe does not know: of another processor, a bank transfer, cash. It is
// one movement of its workspace, by Kind and ID: sent again it is the same one, and the first
// stays.
type Movement struct {
	Kind     string // one of MovementKinds
	ID       string // the seller's id of the payment, refund or dispute
	Parent   string // the payment's id; of anything but a payment
	Amount   int64  // minor units, positive, whatever the direction
	Tax      int64  // minor units, contained in Amount, of a payment
	Currency string // lower case
	At       time.Time
	Test     bool // test mode: never in live totals

	// Who is to be credited, and who bought. All may be empty.
	ClickID, ExternalID, AffiliateID, PromotionCode, CustomerID, SubscriptionID, Email string

	ProductID string // the seller's id of what was sold, of a payment; empty: not named
}

// MovementKinds are the ledger's kinds.
var MovementKinds = []string{"payment", "refund", "refund_reversal", "dispute", "dispute_reversal"}

// MovementAccount begins the accounts under which movements are booked, one for each workspace. No
// account of Stripe's begins so.
const MovementAccount = "movements/"

// MovementWorkspace returns the workspace whose movements stand under an account, and whether it is
// such an account.
func MovementWorkspace(account string) (workspace string, ok bool) {
	return strings.CutPrefix(account, MovementAccount)
}

// stripePrefixes begin the ids of Stripe's objects that move money or are paid.
var stripePrefixes = []string{
	"pi_", "ch_", "py_", "in_", "inpay_", "cs_", "re_", "pyr_", "du_", "dp_", "cn_", "txn_", "sub_", "evt_",
}

// LooksLikeStripe reports whether an id has the form of Stripe's. Such money comes by Stripe's own
// events, and would be booked twice.
func LooksLikeStripe(id string) bool {
	return slices.ContainsFunc(stripePrefixes, func(p string) bool { return strings.HasPrefix(id, p) })
}

// The metadata of a lead that says what a backend sold, and who collected the money (/track/sale).
const (
	SaleProcessor = "payment_processor"
	SaleInvoice   = "invoice_id"

	ProcessorStripe = "stripe"
)

// StripeSale returns the Stripe object of a sale that a lead reports: its invoice, payment intent,
// charge or session. It is empty where Stripe did not collect the money, or the sale names no
// object of Stripe's.
func StripeSale(l *Lead) string {
	if sale := l.Metadata[SaleInvoice]; l.Metadata[SaleProcessor] == ProcessorStripe && LooksLikeStripe(sale) {
		return sale
	}
	return ""
}

// TestObject begins the object ids of movements of test mode. Stripe's ids are of one mode; the
// seller's own are those of a live table, too, of which a test must credit nothing.
const TestObject = "test/"

// objectID returns the id of the object that a movement's own id, or its payment's, stands for.
func (m *Movement) objectID(id string) string {
	if m.Test && id != "" {
		return TestObject + id
	}
	return id
}

// IsCurrency reports whether Stripe pays in a currency, given in lower case: of any other the
// number of decimal places is not known.
func IsCurrency(code string) bool { return slices.Contains(currencies, code) }

// MovementRecord makes the record of a movement: an event of the form that Stripe's own have, so
// that one reader, one join and one ledger take both. movement says what it is. The record's key is
// the customer, else the payment.
func MovementRecord(m *Movement, workspace string, received time.Time) (*kgo.Record, error) {
	typ, object := m.object()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%t\x00%s\x00%s", workspace, m.Test, m.Kind, m.ID))
	id := "evt_movement_" + hex.EncodeToString(sum[:16])
	body, err := json.Marshal(map[string]any{
		"id": id, "object": "event", "type": typ, "created": m.At.Unix(), "livemode": !m.Test,
		"account": MovementAccount + workspace, "movement": m.Kind, "data": map[string]any{"object": object},
	})
	if err != nil {
		return nil, fmt.Errorf("encode movement: %w", err)
	}
	key := m.CustomerID
	if key == "" && m.Kind == "payment" {
		key = m.ID
	} else if key == "" {
		key = m.Parent
	}
	return StripeRecord(&StripeEvent{
		ID: id, Type: typ, Account: MovementAccount + workspace, Livemode: !m.Test, ReceivedAt: received, Body: body,
	}, key), nil
}

// object returns the type of Stripe's event for such a movement, and its object.
func (m *Movement) object() (typ string, object map[string]any) {
	object = map[string]any{"id": m.objectID(m.ID), "currency": m.Currency, "created": m.At.Unix()}
	if m.Kind != "payment" {
		object["amount"], object["charge"] = m.Amount, m.objectID(m.Parent)
	}
	signed := m.Amount
	switch m.Kind {
	case "payment":
		object["object"], object["mode"], object["payment_status"] = "checkout.session", "payment", "paid"
		object["amount_total"], object["total_details"] = m.Amount, map[string]any{"amount_tax": m.Tax}
		object["customer"], object["subscription"] = nullable(m.CustomerID), nullable(m.SubscriptionID)
		object["customer_email"], object["metadata"] = nullable(m.Email), m.metadata()
		return "checkout.session.completed", object
	case "refund", "refund_reversal":
		object["object"], object["status"], object["customer"] = "refund", "succeeded", nullable(m.CustomerID)
		if m.Kind == "refund_reversal" {
			object["status"] = "failed"
			return "refund.failed", object
		}
		return "refund.created", object
	case "dispute":
		typ, signed = "charge.dispute.funds_withdrawn", -m.Amount
	case "dispute_reversal":
		typ = "charge.dispute.funds_reinstated"
	}
	object["object"], object["status"] = "dispute", "needs_response"
	object["balance_transactions"] = []any{map[string]any{
		"id": m.Kind, "amount": signed, "currency": m.Currency, "created": m.At.Unix(),
	}}
	return typ, object
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// metadata holds names under the built-in keys, and the product.
func (m *Movement) metadata() map[string]string {
	names := make(map[string]string)
	for key, value := range map[string]string{
		"tributaryClickId": m.ClickID, "tributaryCustomerId": m.ExternalID,
		"tributaryAffiliateId": m.AffiliateID, "tributaryPromotionCode": m.PromotionCode,
		"product_id": m.ProductID,
	} {
		if value != "" {
			names[key] = value
		}
	}
	return names
}
