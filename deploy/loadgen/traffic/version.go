package traffic

// API versions whose shapes are generated. Basil (2025-03-31) took the invoice off charges and
// payment intents, and the payment intent, the subscription and the tax off invoices; clover
// (2025-09-30) moved the coupon of a promotion code and dropped currency_conversion.
// https://docs.stripe.com/changelog
const (
	APIOld = "2023-10-16"
	APINew = "2025-09-30.clover"
)

// APIVersions are all that a World can report a scenario in, the oldest first.
var APIVersions = []string{
	"2022-11-15", APIOld, "2024-09-30.acacia", "2024-10-28.acacia", "2025-03-31.basil", APINew, "2026-03-25.dahlia",
	"2026-09-30.endive", "2026-10-28.endive",
}

// First days of the releases that changed a shape.
const (
	acacia = "2024-10-28"
	basil  = "2025-03-31"
	clover = "2025-09-30"
	dahlia = "2026-03-25"
)

// version is the API version of an endpoint. Versions begin with their day, so that they sort as
// text.
type version string

func (v version) since(release string) bool { return string(v) >= release }
