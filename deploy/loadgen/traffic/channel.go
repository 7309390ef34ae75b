package traffic

// Keying is where a sale carries the trace of its click. Several systems' conventions are in use side by side.
type Keying string

// The conventions. PushLapMetadata, BareAffiliate and PromotionCode credit an affiliate and no click; the last two credit
// nobody.
const (
	BareClick        Keying = "bare_click"          // client_reference_id is the click id
	PimmsReference   Keying = "pimms_reference"     // client_reference_id is pimms_id_<click>
	DubReference     Keying = "dub_reference"       // client_reference_id is dub_id_<click>
	PimmsCustomer    Keying = "pimms_customer"      // session metadata pimmsCustomerId, known from a lead
	DubCustomer      Keying = "dub_customer"        // session metadata dubCustomerExternalId, known from a lead
	CustomerMetadata Keying = "customer_metadata"   // customer.created carries pimmsCustomerId and pimmsClickId
	PaymentMetadata  Keying = "payment_metadata"    // payment intent or subscription metadata pimmsClickId
	PushLapMetadata  Keying = "push_lap_metadata"   // session metadata pushLapAffiliateId
	BareAffiliate    Keying = "bare_affiliate"      // client_reference_id is an affiliate id
	PromotionCode    Keying = "promotion_code"      // the session's discount is a promotion code that was made for an affiliate
	Unrelated        Keying = "unrelated_reference" // client_reference_id is the merchant's own project_123
	NoKey            Keying = "none"                // nothing at all
)

// Attributes tells whether this convention leads to a click or an affiliate.
func (k Keying) Attributes() bool { return k != Unrelated && k != NoKey }

// affiliateOnly conventions name an affiliate and no click.
func (k Keying) affiliateOnly() bool {
	return k == PushLapMetadata || k == BareAffiliate || k == PromotionCode
}

// needsCustomer conventions do not work for guests.
func (k Keying) needsCustomer() bool { return k == CustomerMetadata }

// needsLead conventions name the buyer as the seller's database does; a lead has tied that name to the click.
func (k Keying) needsLead() bool { return k == PimmsCustomer || k == DubCustomer }

var (
	keyings      = []Keying{BareClick, PimmsReference, DubReference, PimmsCustomer, DubCustomer, CustomerMetadata, PaymentMetadata, PushLapMetadata, BareAffiliate, PromotionCode, Unrelated, NoKey}
	keyingShares = weigh(20, 16, 12, 14, 6, 10, 4, 6, 4, 2, 5, 5)
)

// Life is what a buyer does.
type Life string

// The lives.
const (
	OneTime         Life = "one_time"         // Checkout with a customer
	Guest           Life = "guest"            // Checkout without a customer
	WithInvoice     Life = "with_invoice"     // Checkout with invoice_creation
	Subscription    Life = "subscription"     // Checkout, then renewals
	Trial           Life = "trial"            // a free first period, then renewals
	Elements        Life = "elements"         // a payment intent without Checkout
	Async           Life = "async"            // Checkout with a method that pays later, or fails to
	OffStripe       Life = "off_stripe"       // an invoice that was paid by bank transfer, outside Stripe
	AdaptivePricing Life = "adaptive_pricing" // Checkout that shows the buyer's own currency
	Abandoned       Life = "abandoned"        // a session that expires; some buy by another one
	Voided          Life = "voided"           // an invoice that is never paid
)

var (
	lives      = []Life{OneTime, Guest, WithInvoice, Subscription, Trial, Elements, Async, OffStripe, AdaptivePricing, Abandoned, Voided}
	lifeShares = weigh(28, 10, 8, 32, 5, 8, 4, 1.5, 1.5, 1.5, .5)
)
