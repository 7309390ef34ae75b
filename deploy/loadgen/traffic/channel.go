package traffic

// Channel is where a sale carries the trace of its click. Several systems' conventions are in use
// side by side.
type Channel string

// The conventions. PushLapMetadata, BareAffiliate and PromotionCode credit an affiliate and no
// click; the last two credit nobody.
const (
	BareClick        Channel = "bare_click"        // client_reference_id is the click id
	PimmsReference   Channel = "pimms_reference"   // client_reference_id is pimms_id_<click>
	DubReference     Channel = "dub_reference"     // client_reference_id is dub_id_<click>
	PimmsCustomer    Channel = "pimms_customer"    // session metadata pimmsCustomerId, known from a lead
	DubCustomer      Channel = "dub_customer"      // session metadata dubCustomerExternalId, known from a lead
	CustomerMetadata Channel = "customer_metadata" // customer.created carries pimmsCustomerId and pimmsClickId
	PaymentMetadata  Channel = "payment_metadata"  // payment intent or subscription metadata pimmsClickId
	PushLapMetadata  Channel = "push_lap_metadata" // session metadata pushLapAffiliateId
	BareAffiliate    Channel = "bare_affiliate"    // client_reference_id is an affiliate id
	// the session's discount is a promotion code that was made for an affiliate
	PromotionCode Channel = "promotion_code"
	Unrelated     Channel = "unrelated_reference" // client_reference_id is the merchant's own project_123
	NoKey         Channel = "none"                // nothing at all
)

// Attributes reports whether this convention leads to a click or an affiliate.
func (k Channel) Attributes() bool { return k != Unrelated && k != NoKey }

// affiliateOnly conventions name an affiliate and no click.
func (k Channel) affiliateOnly() bool {
	return k == PushLapMetadata || k == BareAffiliate || k == PromotionCode
}

// needsCustomer conventions do not work for guests.
func (k Channel) needsCustomer() bool { return k == CustomerMetadata }

// needsLead conventions name the buyer as the seller's database does; a lead has tied that name to
// the click.
func (k Channel) needsLead() bool { return k == PimmsCustomer || k == DubCustomer }

var (
	channels = []Channel{BareClick, PimmsReference, DubReference, PimmsCustomer, DubCustomer, CustomerMetadata,
		PaymentMetadata, PushLapMetadata, BareAffiliate, PromotionCode, Unrelated, NoKey}
	channelShares = weigh(20, 16, 12, 14, 6, 10, 4, 6, 4, 2, 5, 5)
)

// Scenario is what a buyer does.
type Scenario string

// The scenarios.
const (
	OneTime         Scenario = "one_time"         // Checkout with a customer
	Guest           Scenario = "guest"            // Checkout without a customer
	WithInvoice     Scenario = "with_invoice"     // Checkout with invoice_creation
	Subscription    Scenario = "subscription"     // Checkout, then renewals
	Trial           Scenario = "trial"            // a free first period, then renewals
	Elements        Scenario = "elements"         // a payment intent without Checkout
	Async           Scenario = "async"            // Checkout with a method that pays later, or fails to
	OffStripe       Scenario = "off_stripe"       // an invoice that was paid by bank transfer, outside Stripe
	AdaptivePricing Scenario = "adaptive_pricing" // Checkout that shows the buyer's own currency
	Abandoned       Scenario = "abandoned"        // a session that expires; some buy by another one
	Voided          Scenario = "voided"           // an invoice that is never paid
	// a hold that is captured later: whole, in part, in steps, for more, or never
	Authorised    Scenario = "authorised"
	Instalments   Scenario = "instalments"    // an invoice that is paid in parts, or in part only
	Overpaid      Scenario = "overpaid"       // an invoice paid with more than it asks for, and a next one
	Indebted      Scenario = "indebted"       // an invoice paid with what was owed from before
	TwoInvoices   Scenario = "two_invoices"   // one payment for two invoices
	PartlyOutside Scenario = "partly_outside" // an invoice paid by card in part, and in part outside Stripe
	Beside        Scenario = "beside"         // an invoice, and a purchase at the same price within the hour
	Consolidated  Scenario = "consolidated"   // an invoice with the lines of two subscriptions, brought by two clicks
	Credited      Scenario = "credited"       // an invoice of which credit notes take off a part before it is paid
	// a payment that is taken off its invoice, and attached to another or to none
	Moved    Scenario = "moved"
	Attached Scenario = "attached" // Checkout, whose payment is attached to an invoice later
	Twins    Scenario = "twins"    // two equal invoices within the hour
	Debited  Scenario = "debited"  // a subscription that is paid by debits, days after its invoices
	// a subscription that a coupon pays for at first, and that is paused for a while
	FreeAtFirst Scenario = "free_at_first"
)

// Scenarios are all of them.
var Scenarios = []Scenario{
	OneTime, Guest, WithInvoice, Subscription, Trial, Elements, Async, OffStripe, AdaptivePricing, Abandoned, Voided,
	Authorised, Instalments, Overpaid, Indebted, TwoInvoices, PartlyOutside, Beside, Consolidated,
}

// Billing are more of them: of sellers of invoices and subscriptions.
var Billing = []Scenario{Credited, Moved, Attached, Twins, Debited, FreeAtFirst}

// byInvoice reports whether there is nothing but invoices in it, and what becomes of them.
func (k Scenario) byInvoice() bool {
	switch k {
	case OffStripe, Voided, Instalments, Overpaid, Indebted, TwoInvoices, PartlyOutside, Beside, Consolidated,
		Credited, Moved, Twins:
		return true
	}
	return false
}

// subscribes reports whether its Checkout makes a subscription.
func (k Scenario) subscribes() bool {
	return k == Subscription || k == Trial || k == Debited || k == FreeAtFirst
}

// InEveryShape reports whether each of APIVersions can report the scenario.
func (k Scenario) InEveryShape() bool { return k.since() == "" }

// since is the first release that can report the scenario.
func (k Scenario) since() string {
	switch k {
	case TwoInvoices, PartlyOutside, Attached:
		return basil
	case Moved:
		return dahlia
	}
	return ""
}

var (
	scenarios = []Scenario{OneTime, Guest, WithInvoice, Subscription, Trial, Elements, Async, OffStripe,
		AdaptivePricing, Abandoned, Voided}
	scenarioShares = weigh(28, 10, 8, 32, 5, 8, 4, 1.5, 1.5, 1.5, .5)
)
