package browser

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/local/chdb/chdbtest"
	store "tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/dashboard"
	"tributary/processor/recompute"
	"tributary/processor/workspace"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

// dashboardOf serves the page over a migrated, empty database on the visitor's site.
func dashboardOf(t *testing.T, v *visitor) (dsn string) {
	t.Helper()
	dsn, _ = sqltest.Open(t)
	serveDashboard(t, v, v.host, dsn)
	return dsn
}

// serveDashboard serves the page over a database.
func serveDashboard(t *testing.T, v *visitor, host, dsn string) {
	t.Helper()
	d, err := dashboard.New(dashboard.Config{DSN: sqltest.Patient(dsn), Log: slog.New(slog.DiscardHandler),
		Workspaces: func() []workspace.Region {
			return []workspace.Region{{Workspace: "default", Timezone: "UTC", Currency: "usd"},
				{Workspace: "studio", Timezone: "UTC", Currency: "usd"},
				{Workspace: "berlin", Timezone: "Europe/Berlin", Currency: "eur", PublishableKey: "pk_o'neill",
					Hostname: "tea.example"}}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	v.handle(host, d.ServeHTTP)
}

// studioFilled is of the database that tests of the studio's figures share: none of them writes.
var studioFilled sync.Once

// studioOf serves the page over the studio on the visitor's site.
func studioOf(t *testing.T, v *visitor) {
	t.Helper()
	dsn := chdbtest.Address(t) + "/studio"
	studioFilled.Do(func() {
		sqltest.Fill(t, dsn)
		seedStudio(t, dsn)
	})
	serveDashboard(t, v, v.host, dsn)
}

// seedStudio fills in the three months of a small studio whose figures are counted by hand in
// sql/testdata/seed/studio.sql.
func seedStudio(t *testing.T, dsn string) {
	t.Helper()
	text, err := os.ReadFile("../../sql/testdata/seed/studio.sql")
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	address.RawQuery = url.Values{"database": {strings.TrimPrefix(address.Path, "/")}}.Encode()
	address.Path = "/"
	for _, statement := range strings.Split(string(text), ";\n") {
		if !strings.Contains(statement, "INSERT") {
			continue
		}
		answer, err := http.Post(address.String(), "text/plain", strings.NewReader(statement))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", answer.StatusCode, body)
		}
	}
}

// shows waits until the expression has the value; the engine shares its cores with other tests.
func (v *visitor) shows(expression, want string) {
	v.t.Helper()
	got := ""
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		if got = v.eval(expression); got == want {
			return
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.t.Fatalf("%s is %s, want %s; the page's errors: %q; its blocks:\n%s", expression, got, want, v.errors,
		v.eval(`[...document.querySelectorAll("#error, #blocks > section")].map(s => `+
			`(s.ariaBusy ?? "") + " " + s.querySelector(".status")?.textContent + " " + s.innerText.slice(0, 200)).join("\n")`))
}

// tile returns the expression of a total's figure, row that of a table's row as text.
func tile(metric string) string {
	return fmt.Sprintf(`document.querySelector("[data-metric=%s] b")?.textContent`, metric)
}

func row(table string, n int) string {
	return fmt.Sprintf(`[...document.querySelectorAll("table.%s tbody tr")].at(%d)?.innerText.replace(/\s+/g, " ").trim()`,
		table, n)
}

// answered waits until every block of the section has its answer, and none a fault.
func (v *visitor) answered() {
	v.t.Helper()
	v.shows(`document.querySelectorAll("#blocks > section").length > 0 && `+
		`[...document.querySelectorAll("#blocks > section")].every(s => s.ariaBusy === "false" && `+
		`!s.classList.contains("stale") && s.querySelector(".status").textContent === "")`, "true")
}

// press clicks on the element that has the text.
func (v *visitor) press(selector, text string) {
	v.t.Helper()
	v.exec(fmt.Sprintf(`const e = [...document.querySelectorAll(%q)].find(e => e.textContent.trim() === %q);
		if (!e) throw new Error("nothing to press: " + %q); e.click()`, selector, text, text))
}

func (v *visitor) choose(id, value string) {
	v.t.Helper()
	v.exec(fmt.Sprintf(`const e = document.querySelector(%q); e.value = %q;
		e.dispatchEvent(new Event("change", {bubbles: true}))`, id, value))
}

const catchFile = `URL.createObjectURL = (b) => { b.text().then((t) => { window.saved = t; }); return "blob:none"; };
	const click = HTMLAnchorElement.prototype.click;
	HTMLAnchorElement.prototype.click = function () { if (this.download) window.file = this.download; else click.call(this); };`

// What was counted by hand is on the page, in any filter, currency and time zone.
func TestPageFigures(t *testing.T) {
	v := newVisitor(t, "figures.example", "")
	studioOf(t, v)
	summer := "https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31"
	v.open(summer)
	for metric, want := range map[string]string{"net": "$257.00", "clicks": "4", "leads": "2",
		"sales": "7", "customers": "4",
		"refunded": "$20.00", "disputed": "$10.00"} {
		v.shows(tile(metric), want)
	}
	v.shows(row("affiliate", 0), "ann 2 2 130.00")
	v.shows(`[...document.querySelectorAll("table.affiliate tbody th")].map(h => h.style.getPropertyValue("--share")).slice(0, 2)`, "1,0.8076923076923077")
	v.shows(`document.querySelectorAll(".as-table tbody tr").length`, "92")
	v.shows(`document.querySelector(".as-table tbody tr:nth-child(3)").textContent`, "Fri, 3 Jun 2050$100.00$0.00")

	v.shows(tile("net")+` + document.querySelector("[data-metric=net] .delta").textContent`, "$257.00no figure before")
	v.exec(`document.querySelector("#compare").click()`)
	v.shows(`new URLSearchParams(location.search).get("compare") + document.querySelectorAll("[data-metric=net] b ~ *").length`,
		"none0")
	v.exec(`history.back()`)
	v.shows(`document.querySelectorAll("[data-metric=net] b ~ *").length`, "1")
	v.choose("#currency", "eur") // June is 118.181818, July 74.545454, August 40.909091
	v.shows(tile("net"), "€233.64")
	v.exec(`history.back()`)
	v.shows(tile("net"), "$257.00")

	v.shows(row("affiliate", 0), "ann 2 2 130.00")
	v.press("table.affiliate a", "ann")
	v.shows(tile("net"), "$130.00")
	v.want(`new URLSearchParams(location.search).getAll("is.affiliate")`, "ann")
	v.shows(tile("disputed"), "undefined") // what is zero is not shown
	v.press(".chip button", "Affiliate is ann")
	v.shows(tile("net"), "$127.00")
	v.exec(`document.querySelector(".chip button:last-child").click()`)
	v.shows(tile("net"), "$257.00")

	// An unknown figure has not changed, whatever the one before was.
	epc := tile("epc") + ` + document.querySelector("[data-metric=epc] .delta")?.textContent`
	for _, days := range []string{"from=2050-07-03&to=2050-07-31", "from=2050-09-01&to=2050-11-30"} { // no click; nothing
		v.open("https://" + v.host + "/?workspace=studio&range=custom&" + days)
		v.shows(epc, "–")
	}

	// ann's click on 15 June 20:00 UTC is on the 16th in India.
	v.open(summer + "&metric=clicks&timezone=Asia/Kolkata")
	v.shows(`[...document.querySelectorAll(".as-table tbody tr")].filter(r => r.cells[1].textContent === "1").map(r => r.cells[0].textContent)`,
		"Thu, 2 Jun 2050,Thu, 9 Jun 2050,Thu, 16 Jun 2050,Sat, 2 Jul 2050")
	v.open(summer + "&section=funnel")
	v.shows(`[...document.querySelectorAll(".funnel li")].map(l => l.dataset.step + " " + l.querySelector("b").textContent)`,
		"visitors 4,leads 2,buyers 4,returning 2")
	v.open(summer + "&section=campaigns&by=channel")
	v.shows(row("channel", 1), "paid_search 1 3 1 105.00 105.00 100.0% 0.0%")
	v.noErrors()
}

// Every section answers, and every control does what it says.
func TestPageControls(t *testing.T) {
	v := newVisitor(t, "controls.example", "")
	studioOf(t, v)
	summer := "https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31"
	v.open(summer)
	v.answered()
	// A column that the question does not have shows nothing.
	v.exec(`import("/assets/table.js").then(({Table}) => {
		window.absent = [];
		const update = Table.prototype.update;
		Table.prototype.update = function (rows) {
			if (rows.length) absent.push(...this.columns.filter(c => !(c.key in rows[0])).map(c => this.name + "." + c.key));
			return update.call(this, rows);
		};
	})`)
	v.shows(`window.absent?.length`, "0")
	for _, section := range playedOf([]string{"Affiliates", "Links", "Campaigns and channels", "Audience", "Funnel",
		"Models", "Cohorts", "Sales", "Earnings", "Health", "Overview"}) {
		v.press("#sections a", section)
		v.shows(`document.querySelector("#title").textContent`, section)
		v.answered()
		v.want(`document.title.startsWith(document.querySelector("#title").textContent)`, "true")
		v.want(`document.querySelector("[aria-current=page]").textContent`, section)
		v.want(`[...document.querySelectorAll("tbody tr")].filter(r => !r.querySelector("th[scope=row], td.none")).length`,
			"0")
		v.want(`[...document.querySelectorAll("select")].filter(s => s.length && s.selectedIndex < 0).length`, "0")
		v.want(`absent.join()`, "")
	}
	// What every object of JavaScript has is the name of nothing here.
	v.open(summer + "&section=constructor&metric=toString&by=valueOf&is.constructor=x")
	v.answered()
	v.want(`document.querySelector("#title").textContent + document.querySelectorAll(".chip").length`, "Overview0")
	v.open(summer + "&section=sales")
	v.exec(catchFile)
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "9")
	for i, product := range []string{"plan 4 2 127.00", "class 2 1 112.00", "Knitting kit 1 0 18.00",
		"not named 1 1 0.00"} {
		v.shows(row("product", i)+fmt.Sprintf(`.startsWith(%q)`, product), "true")
	}
	v.press("table.product a", "Knitting kit") // of one sale, and of its refund
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "2")
	v.shows(`document.querySelector(".chip").textContent`, "Product is Knitting kit×")
	v.exec(`history.back()`)
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "9")
	v.choose(".choice select", "returned")
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "2")
	v.exec(`history.back()`)
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "9")
	v.exec(`const s = document.querySelector(".search"); s.value = "ANN"; s.dispatchEvent(new Event("input"))`)
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "3")
	v.press("table.sales thead button", "Amount")
	v.press("table.sales thead button", "Amount")
	v.shows(row("sales", 0)+`.includes("−20.00 USD")`, "true")
	v.want(`document.querySelector("table.sales [aria-sort=ascending]").textContent`, "Amount")
	v.press("section button", "CSV")
	v.shows(`window.saved?.split("\r\n").length`, "5") // head, three rows, the end
	v.shows(`window.saved.includes(",-20.00,usd,") + window.saved.slice(0, 16)`, "trueWhen (UTC),What,")
	v.exec(`import("/assets/table.js").then((m) => { 
		window.cells = ["=1+1", "@x", " +1", "-1+1", "-20.00", 'a"b', "\t=1", "x; =1;-2", 'x;"@y', "a;b", "x\n=1"]
			.map(m.csvCell).join("|");
	})`)
	v.shows(`window.cells`, `'=1+1|'@x|' +1|'-1+1|-20.00|"a""b"|'`+"\t=1"+`|"x; '=1;'-2"|"x;""'@y"|"a;b"|"x`+"\n'=1\"")

	v.exec(`const s = document.querySelector(".search"); s.value = ""; s.dispatchEvent(new Event("input"))`)
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "9")

	// What is rounded to zero has no minus.
	v.exec(`import("/assets/format.js").then((m) => {
		window.zeros = [m.percent(-0.0004), m.percent(-0.0006),
			m.money("-0.004", "usd"), m.plainMoney("-0.004", "usd")].join();
	})`)
	v.shows("window.zeros", "0.0%,−0.1%,$0.00,0.00")

	// Where clocks are changed at midnight, a day begins at the first moment that is called so.
	v.exec(`import("/assets/view.js").then((m) => {
		const day = (timezone, date) => {
			const s = m.span({ range: "custom", from: date, to: date, timezone, compare: "none" }, 0);
			return new Date(s.from).toISOString().slice(0, 13) + " " + (s.to - s.from) / 3600e3;
		};
		window.days = [day("America/Havana", "2025-03-09"), day("America/Havana", "2025-11-02"),
			day("America/Santiago", "2025-09-07"), day("Africa/Cairo", "2025-04-25"), day("Europe/Berlin", "2025-03-30"),
			day("Australia/Lord_Howe", "2025-04-06")].join("|");
	})`)
	v.shows("window.days", "2025-03-09T05 23|2025-11-02T04 25|2025-09-07T04 23|"+
		"2025-04-24T22 23|2025-03-29T23 23|2025-04-05T13 24.5")
	// The period before has all of its days, however long they are, and ends at the same hour of its
	// clocks as a time that is not over.
	v.exec(`import("/assets/view.js").then((m) => {
		const before = (timezone, range, now, days = {}) => {
			const { previous } = m.span({ range, timezone, ...days }, Date.parse(now));
			const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: timezone, dateStyle: "short", timeStyle: "short" });
			return clock.format(previous.from) + "/" + clock.format(previous.to);
		};
		window.before = [
			before("Europe/Berlin", "last_month", "2026-05-10T10:20Z"),
			before("UTC", "last_month", "2024-03-10T10:20Z"),
			before("Europe/Berlin", "custom", "2026-05-10T10:20Z", { from: "2026-03-29", to: "2026-03-29" }),
			before("Europe/Berlin", "7d", "2026-03-31T10:20Z"),
			before("Europe/Berlin", "7d", "2026-10-27T10:20Z"),
			before("America/Havana", "today", "2026-03-08T15:20Z"),
			before("UTC", "month", "2026-03-31T10:20Z"),
			before("America/Havana", "today", "2026-11-01T04:20Z"),
			before("Europe/Berlin", "today", "2026-10-25T00:20Z"),
			before("Europe/Berlin", "today", "2026-03-29T00:20Z"),
			before("UTC", "12m", "2024-12-10T10:20Z"),
			before("UTC", "12m", "2025-03-10T10:20Z"),
		].join("|");
		const samoa = { range: "custom", from: "2011-12-31", to: "2011-12-31", timezone: "Pacific/Apia" };
		window.gone = m.span(samoa, Date.parse("2026-03-31T10:20Z")).previous;
	})`)
	v.shows("window.before", "2026-03-01 00:00/2026-04-01 00:00|2024-01-01 00:00/2024-02-01 00:00|"+
		"2026-03-28 00:00/2026-03-29 00:00|2026-03-18 00:00/2026-03-24 13:00|2026-10-14 00:00/2026-10-20 12:00|"+
		"2026-03-07 00:00/2026-03-07 12:00|2026-02-01 00:00/2026-03-01 00:00|"+
		// Clocks are put back, back and forward at the end of the hour; a leap day is in one of the years.
		"2026-10-31 00:00/2026-10-31 01:00|2026-10-24 00:00/2026-10-24 03:00|2026-03-28 00:00/2026-03-28 02:00|"+
		"2023-01-01 00:00/2023-12-10 11:00|2023-04-01 00:00/2024-03-10 11:00")
	v.shows("String(window.gone)", "undefined") // the day before was left out of the calendar
	// A day that is not there, and one that a year passes while it is typed, are no dates.
	v.exec(`import("/assets/view.js").then((m) => {
		window.dates = ["2024-02-29", "2026-02-29", "2026-02-31", "2026-13-01", "0002-06-01", "9999-12-31", "x"]
			.map(m.isDate).join() + " " + m.read("?range=toString").range;
	})`)
	v.shows("window.dates", "true,false,false,false,false,false,false 30d")

	// A name may be typed as it is shown, and those that there are are offered.
	v.exec(`document.querySelector("#filter-add").open = true`)
	v.choose("#filter-dimension", "country")
	v.choose("#filter-kind", "without")
	v.shows(`[...document.querySelectorAll("#filter-names option")].map(o => o.value).sort()`, "France,Germany,India,United States")
	v.exec(`document.querySelector("#filter-name").value = " germany "; document.querySelector("#filter-form").requestSubmit()`)
	v.shows(`document.querySelector("#filters").innerText.replace(/\s+/g, " ").trim()`, "Country is not Germany ×")
	v.want(`new URLSearchParams(location.search).getAll("not.country")`, "DE")
	v.answered()
	v.choose("#range", "7d")
	v.shows(`new URLSearchParams(location.search).has("from")`, "false")
	v.shows(row("sales", 0), "No sale and no refund in this time.")
	v.exec(`history.back()`)
	v.shows(`document.querySelector("#range").value`, "custom")
	v.exec(`history.forward()`)
	v.shows(`document.querySelector("#range").value`, "7d")
	v.choose("#range", "custom") // begins with the days that were shown
	v.shows(`(new Date(document.querySelector("#to").value) - new Date(document.querySelector("#from").value)) / 86400e3`,
		"6")
	v.choose("#from", "2050-06-01")
	v.choose("#to", "2050-08-31")
	v.shows(`document.querySelectorAll("table.sales tbody th").length`, "6") // the filter stays
	v.noErrors()
}

// An address says whose figures it shows, and what is not the workspace's own.
func TestPageAddresses(t *testing.T) {
	v := newVisitor(t, "addresses.example", "")
	studioOf(t, v)
	v.open("https://" + v.host + "/")
	v.shows(`location.search`, "?range=30d&workspace=default")
	v.want(`[...document.querySelectorAll("#sections a")].slice(0, 2).map(a => a.getAttribute("href"))`,
		"?range=30d&workspace=default,?section=affiliates&range=30d&workspace=default")
	v.choose("#timezone", "Asia/Kolkata")
	v.shows(`location.search`, "?range=30d&timezone=Asia%2FKolkata&workspace=default")
	v.choose("#currency", "eur")
	v.shows(`location.search`, "?range=30d&timezone=Asia%2FKolkata&currency=eur&workspace=default")
	v.choose("#timezone", "UTC")
	v.shows(`location.search`, "?range=30d&currency=eur&workspace=default")
	v.choose("#workspace", "berlin")
	v.shows(`location.search + document.querySelector("#timezone").value + document.querySelector("#currency").value`,
		"?range=30d&workspace=berlinEurope/Berlineur")
	v.choose("#currency", "usd")
	v.shows(`location.search`, "?range=30d&currency=usd&workspace=berlin")
	v.exec(`history.back()`)
	v.shows(`document.querySelector("#currency").value`, "eur")
	v.noErrors()
}

// The path of a first-time user: who was best last month, what was refunded of theirs, why one sale
// is credited to them, and a file of it.
func TestPageFirstUse(t *testing.T) {
	v := newVisitor(t, "first.example", "")
	m := monthOf(t, dashboardOf(t, v))
	m.sell("ann", 3, 10000)
	m.sell("bob", 4, 3000)
	m.sell("ann", 5, 2000)
	m.refund(3, 2500)
	m.load()

	v.open("https://" + v.host + "/")
	v.answered()
	v.choose("#range", "last_month")
	v.shows(tile("net"), "$125.00")
	v.shows(row("affiliate", 0), "ann 2 2 95.00")
	v.press("table.affiliate a", "ann")
	v.shows(tile("net"), "$95.00")
	v.shows(tile("refunded"), "$25.00")
	v.press("#sections a", "Sales")
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "3")
	v.choose(".choice select", "returned")
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "1")
	v.want(row("sales", 0)+`.includes("refund −25.00 USD −25.00 ann")`, "true")
	v.exec(catchFile)
	v.press("section button", "CSV")
	v.shows(`window.saved?.split("\r\n")[1].split(",").slice(1, 7).join()`, "refund,re_3,-25.00,usd,-25.00,ann")
	v.choose(".choice select", "sales")
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "2")
	v.want(row("sales", 1)+`.includes("the checkout named the click, clicked 60 min before")`, "true")
	v.navigates(`[...document.querySelectorAll("table.sales tbody th a")].at(-1).click()`)
	v.want(`location.pathname`, "/explain")
	v.want(`/ann/.test(document.querySelector(".candidate.credited").textContent)`, "true")
	v.noErrors()
}

// month loads clicks and Stripe's events as the processor does; days are of last month.
type month struct {
	t              *testing.T
	store          *store.Store
	first          time.Time
	clicks         *consume.Clicks
	payments       *consume.Payments
	clicked, money []*kgo.Record
	livemode       bool
	events         int // so far
}

func monthOf(t *testing.T, dsn string) *month {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	s, err := store.Open(dsn, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r := recompute.New(recompute.Config{Store: s, Rates: clickhousetest.FixedRates{"usd": "1"}, Log: quiet})
	now := time.Now().UTC()
	return &month{t: t, store: s, livemode: true, first: time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, time.UTC),
		clicks: &consume.Clicks{Store: s, Recomputer: r},
		payments: &consume.Payments{Store: s, Recomputer: r, Events: consume.NewEventsMetric(),
			Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}}
}

func (m *month) click(when time.Time, c *schemas.Click) schemas.ClickID {
	m.t.Helper()
	id := schemas.NewClickID(when)
	c.Workspace, c.ClickId, c.ClickedAt, c.ReceivedAt = "default", id[:], when.UnixMilli(), when.UnixMilli()
	if c.UserAgent == "" {
		c.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	}
	record, err := schemas.ClickRecord(c, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.clicked = append(m.clicked, record)
	return id
}

// sell is a click of an affiliate on a day, and an hour later a sale of so many cents.
func (m *month) sell(affiliate string, day, cents int) {
	m.t.Helper()
	at := m.first.AddDate(0, 0, day-1).Add(9 * time.Hour)
	id := m.click(at, &schemas.Click{VisitorId: fmt.Sprint("v", day), AffiliateId: affiliate, Trigger: "link",
		Url: "https://shop.example/?via=" + affiliate})
	m.event("checkout.session.completed", at.Add(time.Hour), fmt.Sprintf(`{"id":"cs_%d","object":"checkout.session","mode":"payment",
		"payment_status":"paid","currency":"usd","amount_total":%d,"payment_intent":"pi_%d","client_reference_id":%q}`, day, cents, day, id))
}

// refund gives back so many cents of the sale of a day.
func (m *month) refund(day, cents int) {
	at := m.first.AddDate(0, 0, day).Add(9 * time.Hour)
	m.event("refund.created", at, fmt.Sprintf(`{"id":"re_%d","object":"refund","amount":%d,"currency":"usd","payment_intent":"pi_%d",
		"status":"succeeded","created":%d}`, day, cents, day, at.Unix()))
}

func (m *month) event(kind string, at time.Time, object string) {
	m.events++
	id := fmt.Sprint("evt_", m.events)
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":%t,"data":{"object":%s}}`,
		id, kind, at.Unix(), m.livemode, object)
	m.money = append(m.money, schemas.StripeRecord(&schemas.StripeEvent{
		ID: id, Type: kind, Livemode: m.livemode, ReceivedAt: at,
		Body: []byte(body)}, id))
}

func (m *month) load() {
	m.t.Helper()
	noLetter := func(_ context.Context, _ *kgo.Record, _, _ string, cause error) error { return cause }
	if err := m.clicks.Handle(m.t.Context(), m.clicked, noLetter); err != nil {
		m.t.Fatal(err)
	}
	if err := m.payments.Handle(m.t.Context(), m.money, noLetter); err != nil {
		m.t.Fatal(err)
	}
	m.clicked, m.money = nil, nil
}
