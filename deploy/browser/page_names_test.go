//go:build proof

package browser

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
)

// hostileNames are what anybody can call an affiliate, by a link: markup, text that runs from right
// to left or pretends to, emoji, names longer than any column, formulas, and what CSV quotes.
var hostileNames = []string{
	`<img src=x onerror=document.title=1>`, "\u202egnihton\u202c", "שותף", "👩‍👩‍👧‍👦🔥", strings.Repeat("long", 50),
	`=HYPERLINK("https://evil.example","x")`, `a "quoted", name`, "&amp;lt;b&amp;gt;", "%2e%2e/?q=1&is.affiliate=x#y",
}

// Whatever a name is, it is shown as text and whole to who asks for it, it is a filter, it is found
// by the search, and it is in the CSV as it is seen, no formula.
func TestPageHostileNames(t *testing.T) {
	v := newVisitor(t, "hostile.example", "")
	m := monthOf(t, dashboardOf(t, v))
	for i, name := range hostileNames {
		m.sell(name, i+1, 1000*(i+1))
	}
	m.load()
	v.open("https://" + v.host + "/?section=affiliates&range=last_month")
	v.answered()
	v.shows(`document.querySelectorAll("table.affiliate tbody tr").length`, fmt.Sprint(len(hostileNames)))
	v.want(`document.querySelectorAll("main img, main script, main iframe").length`, "0")
	v.want(`document.title.startsWith("Affiliates")`, "true")
	seen := strings.Split(v.eval(`[...document.querySelectorAll("table.affiliate tbody tr")].map(r => r.cells[0].textContent).join("\u0001")`), "\x01")
	for i, name := range hostileNames { // the most money first
		if seen[len(seen)-1-i] != name {
			t.Errorf("%q is shown as %q", name, seen[len(seen)-1-i])
		}
	}

	// A name that its column cuts off can be read by pointing at it.
	v.want(`[...document.querySelectorAll("table.affiliate tbody th")].filter(h => h.scrollWidth > h.clientWidth && h.title !== h.textContent).length`, "0")
	v.want(`[...document.querySelectorAll("table.affiliate tbody th")].filter(h => h.scrollWidth > h.clientWidth).length > 0`, "true")

	v.exec(catchFile)
	v.press("section button", "CSV")
	v.shows(`Boolean(window.saved)`, "true")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(v.eval(`window.saved`), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != len(seen)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows[1:] {
		want := seen[i]
		if strings.HasPrefix(want, "=") {
			want = "'" + want
		}
		if row[0] != want {
			t.Errorf("row %d of the CSV is of %q, want %q", i, row[0], want)
		}
	}

	for _, name := range hostileNames {
		v.exec(fmt.Sprintf(`const s = document.querySelector("#blocks .search"); s.value = %q; s.dispatchEvent(new Event("input"))`, name))
		v.want(`[...document.querySelectorAll("table.affiliate tbody th")].map(c => c.textContent).join()`, name)
	}
	v.exec(`const s = document.querySelector("#blocks .search"); s.value = ""; s.dispatchEvent(new Event("input"))`)
	for i, name := range hostileNames {
		v.open("https://" + v.host + "/?section=affiliates&range=last_month")
		v.shows(`document.querySelectorAll("table.affiliate tbody tr").length`, fmt.Sprint(len(hostileNames)))
		v.press("table.affiliate tbody a", strings.TrimSpace(name))
		v.shows(`new URLSearchParams(location.search).get("is.affiliate")`, name)
		v.shows(tile("net"), fmt.Sprintf("$%d.00", 10*(i+1)))
		v.want(`document.querySelector(".chip bdi").textContent`, name)
		v.want(`document.querySelectorAll(".chip").length`, "1")
	}
	v.open("https://" + v.host + "/?range=last_month")
	v.answered()
	v.want(`document.querySelectorAll("table.affiliate tbody tr").length`, "6")
	v.press(".more", fmt.Sprintf("Show all %d rows", len(hostileNames)))
	v.want(`document.querySelectorAll("table.affiliate tbody tr").length`, fmt.Sprint(len(hostileNames)))
	v.press(".more", "Show fewer")
	v.want(`document.querySelectorAll("table.affiliate tbody tr").length`, "6")
	v.wide(t, 390)
	for _, section := range []string{"affiliates", "sales", "overview"} {
		v.open("https://" + v.host + "/?range=last_month&section=" + section)
		v.answered()
		v.want(`document.documentElement.scrollWidth`, "390")
		// The money is seen without moving the list aside.
		v.want(`[...document.querySelectorAll("table.affiliate [data-label^=Net]")].every(c => c.getBoundingClientRect().right <= 390)`,
			"true")
	}
	v.noErrors()
}

// Of each dimension, what a filter shows and what its negation shows are together everything.
func TestPageEveryFilter(t *testing.T) {
	v := newVisitor(t, "filters.example", "")
	seedStudio(t, dashboardOf(t, v))
	summer := "https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31&section=sales"
	v.open(summer)
	v.answered()
	rows := `[...document.querySelectorAll("table.sales tbody tr")].filter(r => r.querySelector("th")).length`
	v.shows(rows, "9")
	dimensions := strings.Split(v.eval(`[...document.querySelector("#filter-dimension").options].map(o => o.value)`), ",")
	if len(dimensions) != 10 {
		t.Fatalf("dimensions: %q", dimensions)
	}
	for _, dimension := range dimensions {
		// A name that some of the sales have; empty where none has any.
		v.exec(fmt.Sprintf(`window.name0 = undefined; fetch("/api/query/breakdown?" + new URLSearchParams({workspace: "studio", dimension: %q,
			from: "2050-06-01", to: "2050-09-01"})).then(r => r.json()).then(a => {
			window.name0 = a.data.find(r => r.name !== "" && r.sales > 0)?.name ?? ""; })`, dimension))
		v.shows(`window.name0 !== undefined`, "true")
		name := v.eval(`window.name0`)
		shown := make(map[string]string)
		for _, kind := range []string{"only", "without"} {
			v.exec(`document.querySelector("#filter-add").open = true`)
			v.choose("#filter-dimension", dimension)
			v.choose("#filter-kind", kind)
			v.exec(fmt.Sprintf(`document.querySelector("#filter-name").value = %q; document.querySelector("#filter-form").requestSubmit()`, name))
			v.shows(`document.querySelectorAll(".chip").length`, "1")
			v.answered()
			shown[kind] = v.eval(rows)
			v.exec(`document.querySelector(".chip button:last-child").click()`)
			v.shows(`document.querySelectorAll(".chip").length`, "0")
			v.answered()
		}
		var only, without int
		_, _ = fmt.Sscan(shown["only"]+" "+shown["without"], &only, &without)
		if only+without != 9 || only == 0 {
			t.Errorf("%s is %q: %d rows, is not: %d; want 9 together", dimension, name, only, without)
		}
	}
	v.noErrors()
}
