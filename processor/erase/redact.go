package erase

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// personal are the fields of Stripe's objects that identify a person and do not matter for money.
// Source: https://docs.stripe.com/api, objects customer, checkout.session, charge, invoice,
// payment_intent, payment_method, refund, credit_note, event, v2.core.account.
var personal = set(
	"email", "receipt_email", "customer_email", "contact_email", "instructions_email",
	"name", "customer_name", "individual_name", "business_name", "display_name", "first_name", "last_name",
	"phone", "customer_phone", "contact_phone",
	"address", "customer_address", "shipping", "customer_shipping", "shipping_details", "from_postal_code",
	"to_postal_code",
	"customer_details", "collected_information", "billing_details",
	"payment_method_options", "payment_details", "destination_details", "next_action", "owner", "identity",
	"custom_fields", "customer_tax_ids", "tax_ids", "description", "statement_descriptor", "footer", "memo",
	"invoice_prefix", "receipt_number", "receipt_url", "hosted_invoice_url", "invoice_pdf", "url", "success_url",
	"cancel_url", "return_url", "client_secret", "idempotency_key",
	"fingerprint", "ip", "ip_address", "user_agent", "last4", "evidence",
)

// means are the objects, by the field object, that a person pays by. Expanded, or as older versions
// of the API give them, they have the person's name and address in fields of many names.
// https://docs.stripe.com/api/cards/object, https://docs.stripe.com/api/sources/object
var means = set("card", "bank_account", "source", "payment_method", "alipay_account")

func set(names ...string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, name := range names {
		s[name] = true
	}
	return s
}

// Event returns the event without the person, and true, if it names somebody who was erased.
// Amounts stay the same. Object keys come out sorted: the same body is always redacted to the same
// bytes.
func (l *List) Event(workspace string, e *schemas.StripeEvent) (*schemas.StripeEvent, bool) {
	if l.empty() {
		return e, false
	}
	decoder := json.NewDecoder(bytes.NewReader(e.Body))
	decoder.UseNumber() // an amount must not pass through a float
	var body map[string]any
	if err := decoder.Decode(&body); err != nil {
		return e, false // not JSON: it becomes a dead letter
	}
	found := l.movement(workspace, e.Account, body)
	if l.replace(workspace, body, "", "", &found) == nil || !found {
		return e, false
	}
	strip(body)
	body[redactedMark] = true
	out, err := json.Marshal(body)
	if err != nil {
		return e, false
	}
	redacted := *e
	redacted.ID, redacted.Body = l.within(workspace, e.ID, &found), out
	return &redacted, true
}

// moneyObject are the ids of Stripe's objects that stand for payments, refunds and disputes.
var moneyObject = regexp.MustCompile(`^(?:pi|ch|py|cs|in|inpay|re|pyr|du|dp)_[0-9A-Za-z_]+$`)

// movement reports whether an event is of a movement, or of what belongs to one, of an erased
// person. Its ids are the seller's and have no form of their own.
func (l *List) movement(workspace, account string, body map[string]any) bool {
	if _, ok := schemas.MovementWorkspace(account); !ok {
		return false
	}
	data, _ := body["data"].(map[string]any)
	object, _ := data["object"].(map[string]any)
	payment, belongs := object["charge"].(string)
	if !belongs {
		payment, _ = object["id"].(string)
	}
	_, erased := l.alias(workspace, identity.New(identity.Object, payment))
	return erased
}

// ownIDs are the fields that hold a movement's own id and its payment's.
var ownIDs = []string{"id", "charge"}

// replace puts aliases where Stripe's objects name a buyer: a customer in any field, an external id
// in metadata and in client_reference_id. It also finds the objects of an erased person, which
// stay. parent and field are the names of the fields that value is in.
func (l *List) replace(workspace string, value any, parent, field string, found *bool) any {
	switch v := value.(type) {
	case map[string]any:
		for inner := range v {
			v[inner] = l.replace(workspace, v[inner], field, inner, found)
		}
	case []any:
		for i := range v {
			v[i] = l.replace(workspace, v[i], parent, field, found)
		}
	case string:
		typ := identity.External
		switch {
		case moneyObject.MatchString(v):
			if _, erased := l.alias(workspace, identity.New(identity.Object, v)); erased {
				*found = true
			}
			return v
		case strings.HasPrefix(v, "cus_"), strings.HasPrefix(v, "acct_"), // a buyer may be an account
			parent != "metadata" && field == "customer": // of a movement it has any form
			typ = identity.Customer
		case field == "client_reference_id":
			return l.reference(workspace, v, found)
		case parent != "metadata":
			return l.within(workspace, v, found)
		}
		// Names are read without the space around them (stripe/keys.go).
		if alias, erased := l.alias(workspace, identity.New(typ, strings.TrimSpace(v))); erased && v != "" {
			*found = true
			return alias
		}
		return l.within(workspace, v, found)
	}
	return value
}

// reference puts an alias in place of an external id in a client_reference_id, also behind a prefix
// of the workspace's own.
func (l *List) reference(workspace, value string, found *bool) string {
	prefix, id := "", strings.TrimSpace(value)
	if l.Keys != nil {
		prefix, id = l.Keys(workspace).ExternalReference(id)
	}
	alias, erased := l.alias(workspace, identity.New(identity.External, id))
	if !erased || id == "" {
		return l.within(workspace, value, found)
	}
	*found = true
	return prefix + alias
}

// embedded is the id of a customer, or of an account that is one, as Stripe makes them.
var embedded = regexp.MustCompile(`(?:cus|acct)_[0-9A-Za-z]+`)

// within puts aliases in place of customers that a longer text contains: the path of a fetched
// object, the id of a backfilled event, an address.
func (l *List) within(workspace, text string, found *bool) string {
	if !strings.Contains(text, "cus_") && !strings.Contains(text, "acct_") {
		return text
	}
	return embedded.ReplaceAllStringFunc(text, func(id string) string {
		alias, erased := l.alias(workspace, identity.New(identity.Customer, id))
		if !erased {
			return id
		}
		*found = true
		return alias
	})
}

// strip removes personal fields and texts that contain an e-mail address. An affiliate's id stays,
// also where it is an address: it names another person, whose credit must not be lost when the
// event is read again.
func strip(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if object, _ := v["object"].(string); means[object] {
			return v["id"]
		}
		for field, inner := range v {
			_, text := inner.(string)
			switch {
			case field == "payment_method_details":
				v[field] = kindOf(inner)
			case personal[field]:
				delete(v, field)
			case text && stripe.NamesAffiliate(field):
			case !text || !slices.Contains(ownIDs, field): // without its id money could not be booked again
				v[field] = strip(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = strip(v[i])
		}
	case string:
		if strings.Contains(v, "@") {
			return ""
		}
	}
	return value
}

// kindOf returns of how somebody paid only what kind it was, a card or a debit: it says whether a
// charge is paid when it is made (stripe.Begun).
func kindOf(details any) any {
	kind := map[string]any{}
	if known, _ := details.(map[string]any); known != nil {
		if text, ok := known["type"].(string); ok {
			kind["type"] = text
		}
	}
	return kind
}

// Lead returns the lead without the person, if that person was erased.
func (l *List) Lead(lead *schemas.Lead) *schemas.Lead {
	if l.empty() {
		return lead
	}
	alias, person := l.alias(lead.Workspace, identity.New(identity.External, lead.ExternalId))
	_, address := l.alias(lead.Workspace, EmailNode(lead.EmailHash))
	if !person && !address {
		return lead
	}
	erased := &schemas.Lead{
		Workspace: lead.Workspace, LeadId: lead.LeadId, ReceivedAt: lead.ReceivedAt, OccurredAt: lead.OccurredAt,
		ClickRef:   lead.ClickRef,
		ExternalId: lead.ExternalId, EventName: lead.EventName, Mode: lead.Mode, Quantity: lead.Quantity,
		Vouched: lead.Vouched,
	}
	if person {
		erased.ExternalId = alias
	}
	return erased
}

// Click removes the person from a click's row. Links, campaigns and devices stay: many people share
// them.
func (l *List) Click(row *clickhouse.ClickRow) {
	if l.empty() {
		return
	}
	_, click := l.alias(row.Workspace, identity.New(identity.Click, schemas.ClickID(row.ClickId).String()))
	_, visitor := l.alias(row.Workspace, identity.New(visitorType, row.VisitorId))
	if !click && (row.VisitorId == "" || !visitor) {
		return
	}
	c := row.Click
	row.Click = &schemas.Click{
		Workspace: c.Workspace, ClickId: c.ClickId, ClickedAt: c.ClickedAt, ReceivedAt: c.ReceivedAt,
		ForeignId: c.ForeignId, ProgramId: c.ProgramId, AffiliateId: c.AffiliateId, LinkId: c.LinkId,
		Url: origin(c.Url), Referrer: origin(c.Referrer), Continent: c.Continent, Country: c.Country,
		Datacenter: c.Datacenter,
		Purpose:    c.Purpose, Trigger: c.Trigger,
		Consent: c.Consent, Vouched: c.Vouched,
	}
	row.URL.Path, row.URL.AdClickID = "", ""
}

// visitorType is the type of a browser's name in the list of erasures; no edge has it.
const visitorType = "visitor"

// origin returns the scheme and host of a URL, without path and query.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/"
}
