//go:build proof

package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// accessibility lists what keeps people from using the page: controls without a name, ids given
// twice, headings out of order, tables without heads, text that is too pale (WCAG 2.2, 1.4.3),
// targets that are too small for a finger and too near to another one (2.5.8), fields whose edge is not
// seen (1.4.11), and content that is wider than the screen (1.4.10).
const accessibility = `(() => {
	const faults = [], seen = new Set();
	const visible = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
	const name = (e) => (e.getAttribute("aria-label") || [...(e.labels ?? [])].map((l) => l.textContent).join(" ") ||
		(e.matches("input, select") ? "" : e.textContent) || e.title || "").trim();
	const say = (what, e) => faults.push(what + ": " + e.outerHTML.slice(0, 120));
	if (!document.documentElement.lang) faults.push("the page has no language");
	for (const landmark of ["main", "h1", ...(document.querySelector("main.login") ? [] : ["header"]),
		...(document.querySelector("#blocks") ? ["nav[aria-label]"] : [])])
		if (document.querySelectorAll(landmark).length !== 1) faults.push("not one " + landmark);
	for (const e of document.querySelectorAll("[id]")) seen.has(e.id) ? say("id given twice", e) : seen.add(e.id);
	const controls = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0'], [role=img]";
	for (const e of document.querySelectorAll(controls))
		if (visible(e) && !name(e)) say("no name", e);
	let level = 0;
	for (const e of document.querySelectorAll("h1, h2, h3")) {
		if (!visible(e)) continue;
		if (Number(e.tagName[1]) > level + 1) say("heading skips a level", e);
		level = Number(e.tagName[1]);
	}
	for (const e of document.querySelectorAll("th:not([scope])")) say("head of nothing", e);
	for (const e of document.querySelectorAll("#blocks table, main.own table")) {
		if (e.querySelector("td.none")) continue;
		if (!e.caption?.textContent || !e.querySelector("thead th[scope=col]")) say("table without caption or heads", e);
		for (const r of e.querySelectorAll("tbody tr")) if (!r.querySelector("th[scope=row]")) say("row without head", r);
	}
	const channels = (color) => color.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
		.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const over = (top, below) => { const a = top[3] ?? 1; return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a)); };
	const contrast = (x, y) => {
		const [a, b] = [light(x), light(y)].sort((x, y) => y - x);
		return (a + 0.05) / (b + 0.05);
	};
	const behind = (e) =>
		e ? over(channels(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [255, 255, 255];
	for (const e of document.querySelectorAll("body *")) {
		const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
		if (!text || !visible(e) || e.closest(".unseen, .skip, [disabled], option, noscript, script")) continue;
		const ground = behind(e), ratio = contrast(over(channels(getComputedStyle(e).color), ground), ground);
		if (ratio < 4.5) say("contrast " + ratio.toFixed(2), e);
	}
	for (const e of document.querySelectorAll("select, input:not([type=checkbox], [type=hidden])")) {
		const ratio = contrast(channels(getComputedStyle(e).borderTopColor), behind(e.parentElement));
		if (visible(e) && ratio < 3) say("contrast of the edge " + ratio.toFixed(2), e);
	}
	if (innerWidth < 500) {
		const width = document.documentElement.scrollWidth;
		if (width > innerWidth) faults.push("wider than the screen: " + width);
		const targets = "button, select, input:not([type=checkbox], [type=hidden]), summary, nav a";
		for (const e of document.querySelectorAll(targets)) {
			const box = e.getBoundingClientRect();
			if (visible(e) && !e.closest(".unseen, .skip") && box.width > 0 && (box.height < 24 || box.width < 24))
				say("target of " + Math.round(box.width) + "x" + Math.round(box.height), e);
		}
		const links = [...document.querySelectorAll("table a, table button")].filter(visible)
			.map((e) => [e, e.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
		for (const [i, [e, a]] of links.entries()) {
			const [, b] = links[i + 1] ?? [null, { y: Infinity, height: 0 }];
			const apart = Math.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2);
			if (a.height < 24 && apart < 24) say("target too near to the next: " + Math.round(apart), e);
		}
	}
	return faults.join("\n");
})()`

// Every section can be read and used by who sees little, hears the page, or holds a phone.
func TestPageAccessibility(t *testing.T) {
	v := newVisitor(t, "reach.example", "")
	studioOf(t, v)
	summer := "https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31&is.device=&section="
	for _, section := range strings.Fields(
		"overview affiliates links campaigns audience funnel models cohorts sales earnings health") {
		v.open(summer + section)
		v.answered()
		v.reaches(t, section)
	}
	v.open(summer + "sales")
	v.answered()
	v.navigates(`[...document.querySelectorAll("table.sales tbody th a")].at(-1).click()`)
	v.want(`location.pathname`, "/explain")
	v.reaches(t, "explanation")
	v.media(t, "print", "dark") // paper is white
	v.open(summer + "overview")
	v.answered()
	v.want(`[...document.querySelectorAll("#tools, #sections, .tools")].filter(e => e.checkVisibility()).length`, "0")
	v.want(`getComputedStyle(document.body).backgroundColor + getComputedStyle(document.querySelector("#title")).color`,
		"rgb(255, 255, 255)rgb(22, 25, 29)")
	// No figure and no reason is cut off, neither on paper nor on a tablet.
	v.open(summer + "overview&currency=idr")
	v.answered()
	const cut = `[...document.querySelectorAll(".tile b")].filter(e => e.scrollWidth > e.clientWidth)
		.concat([...document.querySelectorAll("table.sales .why")].filter(e => e.getBoundingClientRect().right >
			e.closest("section").getBoundingClientRect().right)).map(e => e.textContent).join()`
	v.wide(t, 718)
	v.want(cut, "")
	v.media(t, "screen", "light")
	for _, width := range []int64{641, 701, 768, 901, 1101} {
		v.wide(t, width)
		v.want(cut, "")
	}
	v.noErrors()
}

// So can the login, and what an affiliate sees by its link.
func TestLoginAccessibility(t *testing.T) {
	v := newVisitor(t, "reach-login.example", "")
	dsn := dashboardOf(t, v)
	m := monthOf(t, dsn)
	m.sell("ann", 3, 10000)
	m.load()
	loginOf(t, v, dsn)
	v.open("https://" + v.host + "/?range=last_month&is.affiliate=ann&section=affiliates")
	v.reaches(t, "login")
	v.logIn()
	v.shows(tile("net"), "$100.00")
	v.press("section button", "Make a link for this affiliate")
	v.shows(`document.querySelector("output input")?.value.startsWith("https://")`, "true")
	link := v.eval(`document.querySelector("output input").value`)
	v.answered()
	v.navigates(`document.querySelector("#user button").click()`)
	v.open(link)
	v.shows(`document.querySelector("h1").textContent`, "ann")
	v.want(`document.querySelectorAll("main.own tbody th").length > 0`, "true")
	v.reaches(t, "the affiliate's own page")
}

// reaches reports what keeps people from using the page, in both colour schemes and on a phone.
func (v *visitor) reaches(t *testing.T, what string) {
	t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		v.media(t, "", scheme)
		for _, width := range []int64{390, 1280} {
			v.wide(t, width)
			if faults := v.eval(accessibility); faults != "" {
				t.Errorf("%s, %s, %d px:\n%s", what, scheme, width, faults)
			}
		}
	}
}

// media lets the page believe in a medium and a colour scheme.
func (v *visitor) media(t *testing.T, medium, scheme string) {
	t.Helper()
	if _, err := chromedp.Call(v.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		t.Fatal(err)
	}
}

// wide sets the width of the tab.
func (v *visitor) wide(t *testing.T, width int64) {
	t.Helper()
	if _, err := chromedp.Call(v.tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 500,
	}); err != nil {
		t.Fatal(err)
	}
}

// Everything can be done by keys alone.
func TestPageKeyboard(t *testing.T) {
	v := newVisitor(t, "keys.example", "")
	studioOf(t, v)
	v.open("https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31")
	v.answered()
	press := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			v.do(chromedp.KeyEvent(key))
		}
	}
	at := func(selector string) { // goes on with Tab until the focus is there
		t.Helper()
		for range 200 {
			press(kb.Tab)
			if v.eval(fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) == "true" {
				v.want(`getComputedStyle(document.activeElement).outlineStyle`, "solid") // and is seen there
				return
			}
		}
		t.Fatalf("Tab never comes to %s", selector)
	}
	press(kb.Tab)
	v.want(`document.activeElement.className`, "skip")
	press(kb.Enter)
	v.shows(`document.activeElement.id`, "title")

	at("#filter-add summary")
	press(kb.Enter)
	at("#filter-name")
	press("ann", kb.Escape)
	v.want(`document.querySelector("#filter-add").open + document.activeElement.tagName`, "falseSUMMARY")
	press(kb.Enter)
	at("#filter-name")
	press(kb.Enter) // the dimension is affiliate, and ann still stands there
	v.shows(`document.querySelector("#filters").innerText.replace(/\s+/g, " ").trim()`, "Affiliate is ann ×")
	v.shows(tile("net"), "$130.00")
	v.answered()
	v.want(`document.activeElement.tagName`, "SUMMARY")

	// What was pressed is drawn anew and has the focus again; what is gone leaves it to the section.
	at(".chip button")
	press(kb.Enter)
	v.shows(tile("net"), "$127.00")
	v.answered()
	v.want(`document.activeElement.textContent`, "Affiliate is not ann")
	at(".chip button:last-child")
	press(kb.Enter)
	v.shows(tile("net"), "$257.00")
	v.answered()
	v.want(`document.activeElement.id`, "title")
	v.exec(`document.querySelector("#sections a:nth-child(2)").focus()`)
	press(kb.Enter)
	v.shows(`document.querySelector("#title").textContent + document.activeElement.textContent`, "AffiliatesAffiliates")
	v.answered()
	v.exec(`history.back()`)
	v.shows(tile("net"), "$257.00")
	v.answered()

	v.exec(`document.querySelector("#title").focus()`)
	at("[data-metric=clicks]")
	press(kb.Enter)
	v.shows(`document.querySelector("[data-metric=clicks]")?.ariaPressed`, "true")
	v.answered()
	v.shows(`document.activeElement.dataset.metric`, "clicks") // it was drawn anew, and has the focus again
	at(".canvas")
	// A screen reader hands the arrow keys on to a slider, not to a picture, and says its value.
	v.want(`document.activeElement.role + document.activeElement.ariaValueText`, "slider92 figures")
	press(kb.ArrowRight, kb.ArrowRight)
	v.want(`document.querySelector(".legend").textContent.includes("Thu, 2 Jun 2050")`, "true")
	v.want(`document.activeElement.ariaValueNow + document.activeElement.ariaValueText.replace(/: .*/, "")`,
		"2Thu, 2 Jun 2050")
	press(kb.End)
	v.want(`document.querySelector(".legend").textContent.includes("Wed, 31 Aug 2050")`, "true")

	v.open("https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31&section=sales")
	v.answered()
	at(".choice select")
	press(kb.ArrowDown)
	v.shows(`new URLSearchParams(location.search).get("kinds")`, "sales")
	v.want(`document.activeElement.value`, "sales")
	press(kb.ArrowUp)
	v.shows(`document.activeElement.value + document.querySelectorAll("table.sales tbody tr").length`, "9")
	v.answered()
	at("table.sales thead button") // in a menu, a letter chooses
	press("/")
	v.want(`document.activeElement.className`, "search")
	v.exec(`document.activeElement.value = ""`) // DevTools types the stroke although the page has taken the key
	press("ann")
	v.shows(`document.querySelectorAll("table.sales tbody tr").length`, "3")
	at("table.sales thead button")
	press(kb.Enter)
	v.want(`document.activeElement.closest("th").ariaSort`, "ascending")
	// The navigation, which stays above, covers nothing that has the focus.
	v.exec(`document.body.style.paddingBottom = "2000px";
		const [covered, below] = document.querySelectorAll("table.sales tbody th a");
		scrollBy(0, covered.getBoundingClientRect().top - 8);
		below.focus({ preventScroll: true })`)
	v.do(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
	v.want(`document.activeElement.closest("tr").rowIndex`, "1")
	v.want(`document.activeElement.getBoundingClientRect().top >=
		document.querySelector("#sections").getBoundingClientRect().bottom`, "true")
	at("table.sales tbody a")
	press(kb.Enter)
	v.shows(`location.pathname`, "/explain")
	v.noErrors()
}

// A first visit brings fewer than 150 kB over the wire, and nothing that is read moves while
// figures arrive (cumulative layout shift below 0.05; the web's own limit is 0.1).
func TestPageWeight(t *testing.T) {
	v := newVisitor(t, "weight.example", "")
	studioOf(t, v)
	for _, width := range []int64{1280, 390} {
		v.wide(t, width)
		v.open("https://" + v.host + "/?workspace=studio&range=custom&from=2050-06-01&to=2050-08-31")
		v.answered()
		if width == 1280 {
			v.want(`(() => { const bytes = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
				.reduce((sum, e) => sum + e.encodedBodySize, 0); return bytes > 40e3 && bytes < 150e3 ? "good" : bytes; })()`, "good")
		}
		v.exec(`window.shifted = undefined; new PerformanceObserver((list) => {
			window.shifted = list.getEntries().filter(e => !e.hadRecentInput).reduce((sum, e) => sum + e.value, 0);
		}).observe({ type: "layout-shift", buffered: true }); setTimeout(() => { window.shifted ??= 0; }, 200)`)
		v.shows(`window.shifted < 0.05 ? "good" : window.shifted`, "good")
	}
}
