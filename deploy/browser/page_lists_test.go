//go:build proof

package browser

import (
	"fmt"
	"testing"
	"time"

	"tributary/schemas"
)

// The chart and the cohorts are files, too, with all digits.
func TestPageFiles(t *testing.T) {
	v := newVisitor(t, "files.example", "")
	studioOf(t, v)
	summer := "https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31"
	v.open(summer + "&timezone=Asia/Kolkata")
	v.exec(catchFile)
	v.shows(`document.querySelectorAll(".as-table tbody tr").length`, "92")
	v.press(".as-table button", "CSV")
	v.shows(`window.saved?.split("\r\n").slice(0, 4).join(" ")`, "Time (Asia/Kolkata),Net revenue USD,Period before "+
		"2050-06-01 00:00:00,0,0 2050-06-02 00:00:00,0,0 2050-06-03 00:00:00,100,0")
	v.want(`window.file`, "tributary-studio-overview-chart-2050-06-01-2050-08-31.csv")
	v.open(summer + "&section=cohorts&unit=month&by=affiliate&measure=net_usd")
	v.exec(catchFile)
	const won = `document.querySelectorAll("table.cohorts tbody th").length`
	v.shows(won, "4")
	v.press("table.cohorts a", "ann") // leaves those whom ann won, and back
	v.shows(won, "1")
	v.exec(`history.back()`)
	v.shows(won, "4")
	v.press("section button", "CSV")
	v.shows(`window.saved !== undefined`, "true")
	v.want(`window.saved.split("\r\n").slice(0, 3).join(" ")`,
		"Won in month of (UTC),affiliate,Buyers,months later,net USD 2050-06-01,,1,0,30 2050-06-01,,1,1,30")
	// A name that is shown in words is in words in the file, beside what the tables have.
	v.open(summer + "&section=audience")
	v.exec(catchFile)
	v.shows(`document.querySelectorAll("table.country tbody th").length > 0`, "true")
	v.press("section button", "CSV")
	v.shows(`window.saved?.split("\r\n")[0]`,
		"Country,Country code,Clicks,Leads,Sales,New,Net USD,EPC USD,Conv.,Refunds")
	v.want(`window.saved.includes("\nGermany,DE,")`, "true")
	v.open(summer + "&section=sales&currency=eur")
	v.exec(catchFile)
	v.shows(`document.querySelectorAll("table.product tbody th").length > 0`, "true")
	v.exec(`document.querySelector("section:has(table.product) .tools button").click()`)
	v.shows(`window.saved?.split("\r\n")[0]`, "Product,Product id,Sales,New,Net EUR,Refunds")
	v.want(`window.saved.includes("\nKnitting kit,kit,")`, "true")
	v.want(`window.file`, "tributary-studio-sales-product-2050-06-01-2050-08-31.csv")
	v.noErrors()
}

// A list that is cut off says so, and one that is not does not.
func TestPageCutLists(t *testing.T) {
	v := newVisitor(t, "cut.example", "")
	m := monthOf(t, dashboardOf(t, v))
	for n := range 1001 {
		m.click(m.first.Add(time.Duration(n)*time.Minute), &schemas.Click{VisitorId: fmt.Sprint("v", n), Trigger: "link",
			Url: fmt.Sprintf("https://shop.example/page-%d?via=ann", n)})
	}
	m.load()
	v.open("https://" + v.host + "/?range=last_month&section=links")
	v.answered()
	v.shows(`[...document.querySelectorAll("#blocks p.foot:not([hidden])")].map(p => p.textContent).filter(t => t.includes("first"))`,
		"The first 1,000; api/query/landing_pages lists more, with a greater limit.")
	v.want(`[...document.querySelectorAll("table.landing-pages tbody tr")].length`, "10")
	v.press("section button", "Show these 1,000 rows")
	v.want(`[...document.querySelectorAll("table.landing-pages tbody tr")].length`, "1000")
	v.open("https://" + v.host + "/?range=today&section=links")
	v.answered()
	v.want(`[...document.querySelectorAll("#blocks p.foot:not([hidden])")].map(p => p.textContent).filter(t => t.includes("first"))`, "")
	v.noErrors()
}

// A list stays in the order and with the search that it was given, in another time and when its
// reader comes back to it.
func TestPageKeepsOrder(t *testing.T) {
	v := newVisitor(t, "order.example", "")
	studioOf(t, v)
	v.open("https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31&section=sales")
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "9")
	v.press("table.sales thead button", "Amount")
	v.exec(`const s = document.querySelector(".search"); s.value = "ann"; s.dispatchEvent(new Event("input"))`)
	const list = `[...document.querySelectorAll("table.sales tbody tr")].map(r => r.cells[2].textContent)`
	v.shows(list, "100.00,50.00,−20.00")
	v.choose("#to", "2050-08-30")
	v.shows(`new URLSearchParams(location.search).get("to")`, "2050-08-30")
	v.answered()
	v.want(list, "100.00,50.00,−20.00")
	v.want(`document.querySelector(".search").value + document.querySelector("[aria-sort=descending]").textContent`,
		"annAmount")
	v.press("table.sales a", "ann")
	v.shows(`document.querySelectorAll(".chip").length`, "1")
	v.press("#sections a", "Funnel")
	v.answered()
	v.exec(`history.go(-2)`)
	v.shows(`document.querySelectorAll(".chip").length + document.querySelector("#title").textContent`, "0Sales")
	v.answered()
	v.want(list, "100.00,50.00,−20.00")
	v.navigates(`location.reload()`)
	v.shows(list, "100.00,50.00,−20.00")
	// Who comes back to a long list comes back to the same place of it.
	v.answered()
	v.exec(`document.body.style.paddingBottom = "2000px"; scrollTo(0, 600)`)
	v.shows(`history.state.scrolled`, "600")
	v.press("#sections a", "Funnel")
	v.answered()
	v.want(`scrollY`, "0")
	v.exec(`history.back()`)
	v.shows(`document.querySelector("#title").textContent + scrollY`, "Sales600")
	v.noErrors()
}

// Where filters do not reach the figures the page says so, and a name there leads to where they do.
func TestPageBeyondFilters(t *testing.T) {
	v := newVisitor(t, "beyond.example", "")
	studioOf(t, v)
	summer := "https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31&section="
	const notes = `[...document.querySelectorAll("#blocks .note")].map(n => n.textContent)`
	for filters, want := range map[string]string{
		"":                                   "",
		"&is.affiliate=ann":                  "",
		"&is.affiliate=ann&is.affiliate=bob": "Of all filters, only that for one affiliate applies here.",
		"&not.affiliate=ann":                 "Of all filters, only that for one affiliate applies here.",
		"&is.affiliate=ann&is.country=DE":    "Of all filters, only that for one affiliate applies here.",
	} {
		v.open(summer + "earnings" + filters)
		v.answered()
		v.want(notes, want)
	}
	// Lists that some filters reach are filtered by these, and name the others.
	const pages = `[...document.querySelectorAll("table.landing-pages tbody tr")].map(r => r.cells[1].textContent)`
	v.open(summer + "links")
	v.answered()
	v.want(pages, "3,1")
	v.open(summer + "links&is.affiliate=ann&is.product=kit")
	v.answered()
	v.want(pages, "2")
	v.want(notes, "Filters by product do not apply to this.")
	v.open(summer + "funnel&not.device=mobile&is.medium=cpc")
	v.answered()
	v.want(notes, "Filters by medium, device do not apply to this.")
	v.open(summer + "health&is.country=DE")
	v.answered()
	v.want(`document.querySelector("#covered").textContent.endsWith(" · Filters do not apply here.")`, "true")
	// What is credited to nobody is fewer sales than those without an affiliate: a channel brought
	// them.
	const rows = `[...document.querySelectorAll("table.sales tbody th")].filter(h => h.textContent === "sale").length`
	v.want(`document.querySelector("table.unattributed tbody").textContent`, "10.00")
	v.press("table.unattributed a", "1")
	v.shows(`document.querySelector(".choice select").value`, "uncredited")
	v.answered()
	v.want(rows, "1")
	v.want(`[...document.querySelectorAll("table.sales td.why")].filter(d => d.textContent !== "nothing in the sale leads to a click").length`, "0")
	v.open(summer + "sales&is.affiliate=")
	v.answered()
	v.want(rows+" > 1", "true")
	v.open(summer + "health&is.country=DE")
	v.answered()
	v.press("#sections a", "Models")
	v.answered()
	v.want(`document.querySelector("#covered").textContent.endsWith("Aug 2050, 23:59")`, "true")
	v.press("table.attribution_models a", "ann")
	v.shows(`document.querySelector("#title").textContent`, "Overview")
	v.want(`new URLSearchParams(location.search).get("is.affiliate") + document.querySelectorAll(".chip").length`, "ann2")
	v.noErrors()
}

// A newcomer sees a command, and whose click a rule took for a bot's.
func TestPageOfNothing(t *testing.T) {
	v := newVisitor(t, "nothing.example", "")
	dsn := dashboardOf(t, v)
	v.before(`window.zeros = 0; (function look() {
		const blocks = document.querySelector("#blocks");
		if (blocks?.querySelector(".tile") && !blocks.hidden && getComputedStyle(blocks).visibility === "visible") zeros++;
		requestAnimationFrame(look);
	})()`)
	v.open("https://" + v.host + "/")
	v.shows(`document.querySelector("#empty").hidden`, "false")
	v.want(`zeros`, "0") // they are no figures
	v.want(`/ -A 'Mozilla.* -H 'Content-Type: application\/json' -d /.test(document.querySelector("#curl").textContent)`,
		"true")
	m := monthOf(t, dsn)
	m.click(time.Now().Add(-time.Minute), &schemas.Click{VisitorId: "v", Trigger: "link",
		Url:       "https://shop.example/?via=ann",
		UserAgent: "curl/8.5.0"})
	m.load()
	v.shows(`document.querySelector("#flagged").textContent.startsWith("Arrived, but flagged as a bot and not counted: 1 × http_library:curl.")`,
		"true")
	m.click(time.Now().Add(-time.Minute), &schemas.Click{VisitorId: "v", Trigger: "link",
		Url: "https://shop.example/?via=ann"})
	m.load()
	v.shows(`document.querySelector("#empty").hidden`, "true")
	v.shows(tile("clicks"), "1")
	v.shows(`document.querySelectorAll("#blocks .canvas canvas").length`, "1")

	// Of another workspace it says nothing that is true of this one, and its command has what the edge
	// needs to know whose the click is.
	v.exec(`zeros = 0; document.querySelector("#blocks").replaceChildren()`)
	v.choose("#workspace", "berlin")
	v.shows(`document.querySelector("#empty").hidden`, "false")
	v.want(`zeros + document.querySelector("#last-click").textContent`, "0no click yet")
	v.want(`document.querySelector("#curl").textContent.split(" -d ")[1]`,
		`'{"key":"pk_o'\''neill","url":"https://tea.example/?via=anna&utm_campaign=spring"}'`)
	v.want(`document.querySelector("#curl").textContent.split(" ")[2] + document.querySelector("#which-edge").hidden`,
		"https://clicks.example.com/v1/clickfalse")
	v.noErrors()
}
