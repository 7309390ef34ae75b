package clicks

import (
	"crypto/rand"
	"encoding/json"
	"strings"

	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// saleCall is a sale as Dub's SDKs report it: POST /track/sale. Fields without a meaning here are
// ignored, as Dub's own newer ones are.
type saleCall struct {
	CustomerExternalID string          `json:"customerExternalId"`
	ExternalID         string          `json:"externalId"` // older SDKs
	CustomerID         string          `json:"customerId"` // still older ones
	ClickID            *string         `json:"clickId"`
	CustomerName       *string         `json:"customerName"`
	CustomerEmail      *string         `json:"customerEmail"`
	CustomerAvatar     *string         `json:"customerAvatar"`
	Amount             json.RawMessage `json:"amount"`
	Currency           string          `json:"currency"`
	EventName          string          `json:"eventName"`
	PaymentProcessor   string          `json:"paymentProcessor"`
	InvoiceID          *string         `json:"invoiceId"`
	Metadata           json.RawMessage `json:"metadata"`
}

// trackSale takes a sale from Dub's or PiMMs' SDKs, as a payment. What Stripe collected is refused:
// Stripe's own events book it. Without an invoice's id every call is a sale of its own, as at Dub.
func (s *Server) trackSale(ctx *fasthttp.RequestCtx) {
	beaconCORS(ctx)
	var call saleCall
	workspace, f := s.readSecretly(ctx, &call, false)
	if f != nil {
		s.refuse(ctx, f)
		return
	}
	external := call.CustomerExternalID
	if external == "" {
		external = call.ExternalID + call.CustomerID
	}
	if call.Currency == "" {
		call.Currency = "usd"
	}
	if call.EventName == "" {
		call.EventName = "Purchase"
	}
	payment := movementCall{
		Kind: "payment", ID: text(call.InvoiceID), Amount: call.Amount, Currency: call.Currency,
		ExternalID: external, ClickID: text(call.ClickID), Email: text(call.CustomerEmail),
	}
	if payment.ID == "" {
		payment.ID = "sale_" + strings.ToLower(rand.Text())
	}
	switch amount, err := whole(call.Amount); {
	case call.PaymentProcessor == "stripe":
		f = errSales
	case external == "":
		f = errBadLead
	case err == nil && amount == 0: // Dub answers it, and counts nothing
	default:
		var m *schemas.Movement
		if m, f = payment.movement(s.now()); f == nil {
			f = s.storeMovement(m, workspace)
		}
	}
	if f != nil {
		s.refuse(ctx, f)
		return
	}
	s.answerJSON(ctx, call.answer(external))
}

// answer has the form of Dub's.
func (c *saleCall) answer(external string) any {
	metadata := c.Metadata
	if len(metadata) == 0 {
		metadata = json.RawMessage("null")
	}
	processor := c.PaymentProcessor
	if processor == "" {
		processor = "custom"
	}
	return map[string]any{
		"eventName": c.EventName,
		"customer": map[string]any{
			"id": external, "name": c.CustomerName, "email": c.CustomerEmail, "avatar": c.CustomerAvatar, "externalId": external,
		},
		"sale": map[string]any{
			"amount": c.Amount, "currency": c.Currency, "invoiceId": c.InvoiceID,
			"paymentProcessor": processor, "metadata": metadata,
		},
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// trackClientSale refuses a sale that a page reports: whoever sees the page could report any.
func (s *Server) trackClientSale(ctx *fasthttp.RequestCtx) {
	beaconCORS(ctx)
	s.refuse(ctx, errSales)
}
