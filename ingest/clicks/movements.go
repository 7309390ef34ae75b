package clicks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// maxAmount bounds a movement, in minor units: sums of a million of them fit into an int64.
const maxAmount = 1_000_000_000_000

// What a movement is refused for.
var (
	errUnknownField = &fault{400, "unknown_field", "there is no such field",
		"the fields are in schemas/movement.schema.json"}
	errRepeatedField = &fault{400, "repeated_field", "a field is given twice",
		"which of the two is meant is not known: send it once"}
	errBadMovement = &fault{400, "bad_movement", "the body is not one JSON object",
		`send {"kind":"payment","id":"order_1","amount":4900,"currency":"eur"}`}
	errBadMovementField = &fault{400, "bad_movement_field", "a field has the wrong type",
		"amount and tax are integers of minor units, test is true or false, all others are strings"}
	errNotUnicode = &fault{400, "bad_unicode", "a text is not valid Unicode",
		"send UTF-8, and surrogates in pairs"}
	errMovementKind = &fault{400, "bad_kind", "kind is not known",
		"payment, refund, refund_reversal, dispute or dispute_reversal"}
	errMovementID = &fault{400, "bad_id", "id is missing, or id or parent is not your own",
		"neither in the form of Stripe's, whose money comes by its webhooks, nor begun by test/"}
	errMovementParent = &fault{400, "bad_parent", "parent does not fit the kind",
		"the payment's id for a refund or dispute; none for a payment"}
	errMovementAmount = &fault{400, "bad_amount", "amount is not a positive integer of minor units",
		"4900 for 49.00 EUR, a number and no text, at most 1000000000000; what goes back is a refund of /v1/movements"}
	errMovementTax = &fault{400, "bad_tax", "tax is not within the amount, or not of a payment",
		"minor units, contained in amount; refunds take their share by themselves"}
	errMovementProduct = &fault{400, "bad_product", "product_id is not of a payment",
		"refunds and disputes go back by the products of their payment"}
	errMovementCurrency = &fault{400, "bad_currency", "currency is not one that Stripe lists",
		"three letters of ISO 4217, such as eur"}
	errMovementTime = &fault{400, "bad_movement_time", "time is no moment from 2000 until now",
		"RFC 3339, such as 2026-11-20T15:04:05Z"}
)

// movementCall is the body of POST /v1/movements (schemas/movement.schema.json).
type movementCall struct {
	Kind           string          `json:"kind"`
	ID             string          `json:"id"`
	Parent         string          `json:"parent"`
	Amount         json.RawMessage `json:"amount"`
	Tax            json.RawMessage `json:"tax"`
	Currency       string          `json:"currency"`
	Time           string          `json:"time"`
	Test           bool            `json:"test"`
	ClickID        string          `json:"click_id"`
	ExternalID     string          `json:"external_id"`
	AffiliateID    string          `json:"affiliate_id"`
	PromotionCode  string          `json:"promotion_code"`
	CustomerID     string          `json:"customer_id"`
	SubscriptionID string          `json:"subscription_id"`
	ProductID      string          `json:"product_id"`
	Email          string          `json:"email"`
}

// movement takes money that Stripe does not know from a backend: POST /v1/movements.
func (s *Server) movement(ctx *fasthttp.RequestCtx) {
	var call movementCall
	w := s.acquire()
	defer s.release(w) // encoding/json copies what it reads
	f := s.readCall(ctx, w, false)
	if f == nil {
		// Of money nothing may be lost to a misspelt name.
		f = decodeCall(withoutBOM(w.body), &call, true)
	}
	var m *schemas.Movement
	if f == nil {
		m, f = call.movement(s.now())
	}
	if f == nil {
		f = s.storeMovement(m, w.from.workspace.ID)
	}
	if f != nil {
		s.refuse(ctx, f)
		return
	}
	s.answerJSON(ctx, map[string]string{"kind": m.Kind, "id": m.ID})
}

// decodeCall reads one JSON object; strict refuses fields that there are not.
func decodeCall(body []byte, call any, strict bool) *fault {
	d := json.NewDecoder(bytes.NewReader(body))
	if strict {
		d.DisallowUnknownFields()
	}
	err := d.Decode(call)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err != nil && strings.Contains(err.Error(), "unknown field"):
		return errUnknownField
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return errBadMovementField
	case err != nil:
		return errBadMovement
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errBadMovement
	}
	return checkNames(body, strict)
}

// checkNames refuses an object that encoding/json has read, if it gives a field twice: of two
// amounts JSON does not say which counts (RFC 8259 §4), and readers differ. encoding/json takes
// other letters for the same name, such as Amount; strict refuses those too.
func checkNames(body []byte, strict bool) *fault {
	d := json.NewDecoder(bytes.NewReader(body))
	_, _ = d.Token() // the brace
	seen := make(map[string]bool)
	for d.More() {
		name, _ := d.Token()
		text, _ := name.(string)
		folded := strings.ToLower(strings.ToUpper(text))
		switch {
		case strict && text != folded:
			return errUnknownField
		case seen[folded]:
			return errRepeatedField
		}
		seen[folded] = true
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return errBadMovement
		}
	}
	return nil
}

// movement checks the call as a whole. Without a time the movement is one of now.
func (c *movementCall) movement(now time.Time) (*schemas.Movement, *fault) {
	m := &schemas.Movement{Kind: c.Kind, At: now, Test: c.Test}
	if f := c.texts(m); f != nil {
		return nil, f
	}
	if c.Time != "" {
		at, ok := parseRFC3339(c.Time)
		at = at.UTC() // one moment, in whatever zone it is written, is taken or is not
		if !ok || at.Year() < 2000 || at.After(now.Add(maxAhead)) {
			return nil, errMovementTime
		}
		m.At = at
	}
	payment := m.Kind == "payment"
	switch {
	case !slices.Contains(schemas.MovementKinds, m.Kind):
		return nil, errMovementKind
	case m.ID == "" || slices.ContainsFunc([]string{m.ID, m.Parent}, taken):
		return nil, errMovementID
	case payment != (m.Parent == ""):
		return nil, errMovementParent
	}
	if f := c.amounts(m); f != nil {
		return nil, f
	}
	switch {
	case m.Tax > 0 && !payment:
		return nil, errMovementTax
	case m.ProductID != "" && !payment:
		return nil, errMovementProduct
	case !schemas.IsCurrency(m.Currency):
		return nil, errMovementCurrency
	}
	return m, nil
}

// texts copies the texts into m, without the space around them.
func (c *movementCall) texts(m *schemas.Movement) *fault {
	m.Currency = strings.ToLower(strings.TrimSpace(c.Currency))
	for _, text := range []struct {
		from  string
		to    *string
		limit int
	}{
		{c.ID, &m.ID, maxExternalID}, {c.Parent, &m.Parent, maxExternalID},
		{c.ExternalID, &m.ExternalID, maxExternalID},
		{c.AffiliateID, &m.AffiliateID, maxExternalID}, {c.PromotionCode, &m.PromotionCode, maxExternalID},
		{c.CustomerID, &m.CustomerID, maxExternalID}, {c.SubscriptionID, &m.SubscriptionID, maxExternalID},
		{c.ProductID, &m.ProductID, maxExternalID}, {c.Email, &m.Email, maxEmail},
	} {
		*text.to = strings.TrimSpace(text.from)
		switch {
		case len(*text.to) > text.limit:
			return errTooLong
		case !isUnicode(*text.to):
			return errNotUnicode
		}
	}
	m.ClickID = clickRef(c.ClickID)
	// Two movements of such an id would be one, and all such buyers one customer.
	for _, id := range []*string{&m.ID, &m.Parent, &m.ExternalID, &m.AffiliateID, &m.CustomerID,
		&m.SubscriptionID} {
		*id = filled(*id)
	}
	return nil
}

// amounts reads amount and tax, in minor units, into m.
func (c *movementCall) amounts(m *schemas.Movement) *fault {
	var err error
	if m.Amount, err = whole(string(c.Amount)); err != nil || m.Amount <= 0 || m.Amount > maxAmount {
		return errMovementAmount
	}
	if len(c.Tax) == 0 {
		return nil
	}
	if m.Tax, err = whole(string(c.Tax)); err != nil || m.Tax < 0 || m.Tax > m.Amount {
		return errMovementTax
	}
	return nil
}

// taken reports whether an id has a form that is not the seller's to give.
func taken(id string) bool {
	return schemas.LooksLikeStripe(id) || strings.HasPrefix(id, schemas.TestObject)
}

// whole reads a JSON number that is an integer, however it is written: 4900, 4900.0, and 4.9e3, as
// Java writes a BigDecimal. It is exact, and refuses "4900" and 49.99.
func whole(number string) (int64, error) {
	const maxExponent = 100 // far beyond an int64; more zeros need not be written out
	mantissa, exponent := number, 0
	if e := strings.IndexAny(number, "eE"); e >= 0 {
		var err error
		if exponent, err = strconv.Atoi(number[e+1:]); err != nil || max(exponent, -exponent) > maxExponent {
			return 0, strconv.ErrRange
		}
		mantissa = number[:e]
	}
	integer, fraction, _ := strings.Cut(mantissa, ".")
	digits, end := integer+fraction, len(integer)+exponent // where the fraction begins
	if end > len(digits) {
		digits += strings.Repeat("0", end-len(digits))
	}
	end = max(end, 0)
	if integer == "" || strings.Trim(digits[end:], "0") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(digits[:end], 10, 64)
}

// plainNumber returns a JSON number that is an integer as most programs write it. An id of 1001 is
// 1001.0 in a column of a table that has gaps. Everything else stays as it is.
func plainNumber(number string) string {
	if strings.ContainsAny(number, ".eE") {
		if n, err := whole(number); err == nil {
			return strconv.FormatInt(n, 10)
		}
	}
	return number
}

func (s *Server) storeMovement(m *schemas.Movement, workspace string) *fault {
	r, err := schemas.MovementRecord(m, workspace, s.now())
	if err != nil {
		s.log.Error("encode movement", "error", err)
		return errInternal
	}
	if _, err := s.publisher.Publish(context.Background(), r); err != nil {
		return unstored(err)
	}
	s.metrics.movements.Inc()
	return nil
}

func (s *Server) answerJSON(ctx *fasthttp.RequestCtx, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		s.log.Error("encode answer", "error", err)
		s.refuse(ctx, errInternal)
		return
	}
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBody(body)
}
