package clicks

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// saleCall is a sale as Dub's and PiMMs' SDKs report it: POST /track/sale and /track/sale/client.
// Fields without a meaning here are ignored, as Dub's own newer ones are.
type saleCall struct {
	CustomerExternalID sellersID       `json:"customerExternalId"`
	ExternalID         sellersID       `json:"externalId"` // older SDKs
	CustomerID         sellersID       `json:"customerId"` // still older ones
	ClickID            sellersID       `json:"clickId"`
	CustomerName       *string         `json:"customerName"`
	CustomerEmail      *string         `json:"customerEmail"`
	CustomerAvatar     *string         `json:"customerAvatar"`
	Amount             json.RawMessage `json:"amount"`
	Currency           string          `json:"currency"`
	EventName          string          `json:"eventName"`
	PaymentProcessor   string          `json:"paymentProcessor"`
	InvoiceID          *sellersID      `json:"invoiceId"`
	Metadata           json.RawMessage `json:"metadata"`
}

// sellersID is an id of the seller's database, of a buyer, a sale or a product: a string, or a
// number, as a lead may have it.
type sellersID string

// UnmarshalJSON also takes a number.
func (id *sellersID) UnmarshalJSON(text []byte) error {
	if text[0] >= '0' && text[0] <= '9' || text[0] == '-' {
		*id = sellersID(plainNumber(string(text)))
		return nil
	}
	return json.Unmarshal(text, (*string)(id))
}

// trackSale takes a sale from Dub's or PiMMs' SDKs: POST /track/sale. It is a payment, unless
// Stripe collected it: then Stripe's own events book it, and the call is only a claim.
func (s *Server) trackSale(ctx *fasthttp.RequestCtx) { s.sale(ctx, false) }

// trackClientSale takes a sale from Dub's script or its SDKs for phones: POST /track/sale/client.
// It is only a claim: whoever sees the page could report any sale.
func (s *Server) trackClientSale(ctx *fasthttp.RequestCtx) { s.sale(ctx, true) }

func (s *Server) sale(ctx *fasthttp.RequestCtx, public bool) {
	beaconCORS(ctx)
	w := s.acquire()
	defer s.release(w) // encoding/json copies what it reads
	var call saleCall
	f := s.readCall(ctx, w, public)
	if f == nil {
		f = decodeCall(withoutBOM(w.body), &call, false)
	}
	booked := false
	if f == nil {
		call.complete()
		booked, f = s.storeSale(&w.from, &call)
	}
	if f != nil {
		s.refuse(ctx, f)
		return
	}
	s.answerJSON(ctx, call.answer(booked))
}

// complete fills in what Dub fills in.
func (c *saleCall) complete() {
	for _, id := range []*sellersID{&c.CustomerExternalID, &c.ExternalID, &c.CustomerID} {
		*id = sellersID(filled(strings.TrimSpace(string(*id))))
	}
	c.ClickID = sellersID(clickRef(string(c.ClickID)))
	c.CustomerExternalID = cmp.Or(c.CustomerExternalID, c.ExternalID, c.CustomerID)
	c.PaymentProcessor = strings.ToLower(strings.TrimSpace(c.PaymentProcessor))
	c.Currency = strings.ToLower(strings.TrimSpace(c.Currency))
	for _, field := range []struct {
		text  *string
		value string
	}{{&c.Currency, "usd"}, {&c.EventName, "Purchase"}, {&c.PaymentProcessor, "custom"}} {
		if *field.text == "" {
			*field.text = field.value
		}
	}
}

// storeSale stores a payment or a claim, and reports whether the answer names the sale.
func (s *Server) storeSale(from *sender, c *saleCall) (booked bool, f *fault) {
	if f := checkPerson(string(c.CustomerExternalID), text(c.CustomerEmail)); f != nil {
		return false, f
	}
	amount, err := whole(string(c.Amount))
	if err == nil {
		c.Amount = strconv.AppendInt(nil, amount, 10) // 4.9e3 is answered and kept as 4900
	}
	if !from.secret || c.PaymentProcessor == schemas.ProcessorStripe {
		if err != nil || amount < 0 || amount > maxAmount {
			return false, errMovementAmount
		}
		return false, s.storeClaim(from, c)
	}
	if err == nil && amount == 0 {
		return true, nil // Dub answers it, and counts nothing
	}
	payment := movementCall{
		Kind: "payment", ID: text(c.InvoiceID), Amount: c.Amount, Currency: c.Currency,
		ExternalID: string(c.CustomerExternalID), ClickID: string(c.ClickID), Email: text(c.CustomerEmail),
		ProductID: c.product(),
	}
	if payment.ID == "" {
		payment.ID = "sale_" + strings.ToLower(rand.Text()) // every such call is a sale of its own, as at Dub
	}
	m, f := payment.movement(s.now())
	if f != nil {
		return false, f
	}
	return true, s.storeMovement(m, from.workspace.ID)
}

// product returns the product that the metadata names, as Stripe's metadata may. A value that is no
// name is no reason to refuse the sale.
func (c *saleCall) product() string {
	var named struct {
		ProductID sellersID `json:"product_id"`
		Product   sellersID `json:"product"`
	}
	if json.Unmarshal(c.Metadata, &named) != nil {
		return ""
	}
	product := string(cmp.Or(named.ProductID, named.Product))
	if len(product) > maxExternalID || !isUnicode(product) {
		return ""
	}
	return product
}

// storeClaim keeps what a sale says of the buyer and their click, as a deferred lead: it links the
// two, and Stripe's invoice or payment intent if a backend names it, and counts as nothing. The
// amount is no money; it stands in the metadata, so that a sale that no processor ever confirmed
// can be found.
func (s *Server) storeClaim(from *sender, c *saleCall) *fault {
	invoice := strings.TrimSpace(text(c.InvoiceID))
	lead := leadCall{email: text(c.CustomerEmail), lead: schemas.Lead{
		ClickRef: string(c.ClickID), ExternalId: string(c.CustomerExternalID), EventName: c.EventName,
		Mode: "deferred", Quantity: 1, Metadata: map[string]string{
			"amount": string(c.Amount), "currency": c.Currency, schemas.SaleInvoice: invoice,
			schemas.SaleProcessor: c.PaymentProcessor,
		},
	}}
	if len(c.CustomerExternalID) > maxExternalID || len(c.EventName) > maxEventName ||
		len(invoice) > maxExternalID || len(c.Currency) > maxID || len(c.PaymentProcessor) > maxID ||
		len(lead.email) > maxEmail {
		return errTooLong
	}
	source := "sale\x00" + invoice
	if !from.secret {
		source = fromPage + "\x00" + source
	}
	_, f := s.publishLead(from, &lead, source)
	return f
}

// answer has the form of Dub's, in which sale is null where none was recorded.
func (c *saleCall) answer(booked bool) any {
	answer := map[string]any{
		"eventName": c.EventName,
		"customer": map[string]any{
			"id": c.CustomerExternalID, "name": c.CustomerName, "email": c.CustomerEmail, "avatar": c.CustomerAvatar,
			"externalId": c.CustomerExternalID,
		},
		"sale": nil,
	}
	if booked {
		metadata := c.Metadata
		if len(metadata) == 0 {
			metadata = json.RawMessage("null")
		}
		answer["sale"] = map[string]any{
			"amount": c.Amount, "currency": c.Currency, "invoiceId": c.InvoiceID,
			"paymentProcessor": c.PaymentProcessor, "metadata": metadata,
		}
	}
	return answer
}

func text[S ~string](s *S) string {
	if s == nil {
		return ""
	}
	return string(*s)
}
