package traffic

// The catalogue does not depend on the seed: every part of a demonstration reports the same
// programmes, affiliates, links and prices.

// Link is one tracked link: who shared it, and what its URL says about it.
type Link struct {
	ID        string
	Program   string
	Affiliate string // empty for the business's own campaigns
	Page      string // landing page without parameters
	Source    string // utm_source; empty for an untagged link
	Medium    string // utm_medium
	Campaign  string // utm_campaign
	AdParam   string // gclid, fbclid…: the ad network appends it
	Referrer  string // where the visitor comes from; empty for direct
	Trigger   string // link, qr
}

// Links are the shop's links, the busiest first.
var Links = []Link{
	{"lnk_spring_search", "prog_atlas", "", "https://atlas.example/pricing", "google", "cpc", "spring-launch", "gclid",
		"https://www.google.com/", "link"},
	{"lnk_lena_review", "prog_atlas", "aff_lena", "https://atlas.example/", "lena", "affiliate", "review-2026", "",
		"https://lena-writes.example/best-planners", "link"},
	{"lnk_home", "prog_atlas", "", "https://atlas.example/", "", "", "", "", "", "link"},
	{"lnk_newsletter", "prog_atlas", "", "https://atlas.example/whats-new", "newsletter", "email",
		"weekly-digest", "", "", "link"},
	{"lnk_devtube", "prog_atlas", "aff_devtube", "https://atlas.example/developers", "youtube", "affiliate", "devtube-may",
		"", "https://www.youtube.com/", "link"},
	{"lnk_social_video", "prog_atlas", "", "https://atlas.example/tour", "facebook", "paid_social", "tour-video", "fbclid",
		"https://l.facebook.com/", "link"},
	{"lnk_marco", "prog_atlas", "aff_marco", "https://atlas.example/it", "marco", "affiliate", "guida", "",
		"https://marcoprova.example/", "link"},
	{"lnk_blog", "prog_atlas", "", "https://atlas.example/blog/planning", "", "", "", "",
		"https://www.google.com/", "link"},
	{"lnk_kenji", "prog_atlas", "aff_kenji", "https://atlas.example/ja", "kenji", "affiliate", "matome", "",
		"https://note.example/kenji", "link"},
	{"lnk_podcast", "prog_atlas", "aff_hours", "https://atlas.example/hours", "podcast", "affiliate",
		"after-hours", "", "", "link"},
	{"lnk_bing", "prog_atlas", "", "https://atlas.example/pricing", "bing", "cpc", "spring-launch", "msclkid",
		"https://www.bing.com/", "link"},
	{"lnk_shop_search", "prog_press", "", "https://press.example/shop", "google", "cpc", "paper-goods", "gclid",
		"https://www.google.com/", "link"},
	{"lnk_ines", "prog_press", "aff_ines", "https://press.example/notebooks", "ines", "affiliate", "bullet-journal", "",
		"https://www.instagram.com/", "link"},
	{"lnk_fair", "prog_press", "", "https://press.example/fair", "bookfair", "print", "leipzig", "", "", "qr"},
	{"lnk_paul", "prog_press", "aff_paul", "https://press.example/pens", "paul", "affiliate", "fountain-pens", "",
		"https://penaddicts.example/reviews", "link"},
	{"lnk_pins", "prog_press", "", "https://press.example/ideas", "pinterest", "social", "desk-setups", "",
		"https://www.pinterest.com/", "link"},
	{"lnk_yuki", "prog_press", "aff_yuki", "https://press.example/ja/notebooks", "yuki", "affiliate", "techo", "",
		"https://x.com/", "link"},
	{"lnk_partner_crm", "prog_agency", "aff_northwind", "https://atlas.example/agencies", "northwind", "partner",
		"agency-bundle", "", "https://northwind.example/partners", "link"},
	{"lnk_partner_tax", "prog_agency", "aff_steuer", "https://atlas.example/de/agenturen", "steuerblick", "partner",
		"agency-bundle", "", "https://steuerblick.example/tools", "link"},
	{"lnk_webinar", "prog_agency", "", "https://atlas.example/webinar", "linkedin", "social", "webinar-may", "",
		"https://www.linkedin.com/", "link"},
	{"lnk_hackernews", "prog_atlas", "", "https://atlas.example/blog/how-we-plan", "", "", "", "",
		"https://news.ycombinator.com/", "link"},
	{"lnk_coupon", "prog_press", "aff_dealio", "https://press.example/deals", "dealio", "affiliate", "coupons", "",
		"https://dealio.example/press", "link"},
}

type country struct {
	code, currency string
	weight         float64
}

var countries = []country{
	{"US", "usd", 30}, {"DE", "eur", 14}, {"FR", "eur", 10}, {"JP", "jpy", 9}, {"GB", "usd", 8}, {"IT", "eur", 6},
	{"ES", "eur", 5}, {"NL", "eur", 4}, {"IN", "usd", 4}, {"CA", "usd", 3}, {"BR", "usd", 3},
	{"AU", "usd", 2}, {"AT", "eur", 2},
}

// product is something for sale. Prices are minor units by currency.
type product struct {
	name     string
	price    map[string]int64
	shipping map[string]int64 // nil: nothing is shipped
}

var plans = []product{
	{name: "Atlas Starter", price: map[string]int64{"usd": 1900, "eur": 1900, "jpy": 2800}},
	{name: "Atlas Team", price: map[string]int64{"usd": 4900, "eur": 4900, "jpy": 7200}},
	{name: "Atlas Business", price: map[string]int64{"usd": 19900, "eur": 18900, "jpy": 29800}},
}

var goods = []product{
	{name: "Dotted notebook, set of three", price: map[string]int64{"usd": 2850, "eur": 2690, "jpy": 4200},
		shipping: map[string]int64{"usd": 695, "eur": 495, "jpy": 600}},
	{name: "Fountain pen, medium", price: map[string]int64{"usd": 8400, "eur": 7900, "jpy": 12400},
		shipping: map[string]int64{"usd": 695, "eur": 495, "jpy": 600}},
	{name: "Planning course", price: map[string]int64{"usd": 12900, "eur": 11900, "jpy": 19000}},
	{name: "Template pack", price: map[string]int64{"usd": 999, "eur": 999, "jpy": 1500}},
	{name: "Atlas Lifetime", price: map[string]int64{"usd": 29900, "eur": 27900, "jpy": 44800}},
}

var firstNames = []string{"Ada", "Jonas", "Mei", "Lucía", "Tom", "Aiko", "Priya", "Noah", "Clara", "Mateo", "Haruto",
	"Zoé", "Ruth", "Emil", "Nadia", "Oscar"}
var lastNames = []string{"Berg", "Tanaka", "Rossi", "Martin", "Okafor", "Weber", "Silva", "Novak", "Dubois", "Larsen",
	"Gupta", "Kelly", "Moreno", "Sato", "Fischer", "Park"}
