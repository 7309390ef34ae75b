//go:build proof

package browser

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
)

// failures are ways in which a server, or what stands before it, keeps an answer back.
var failures = map[string]http.HandlerFunc{
	"closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"cut": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"data": [`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	},
	"a proxy's page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<h1>Sign in</h1>") },
	"a proxy's fault": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `{"status": 502}`)
	},
}

// What failed answers again by itself, and until then the last figures stay and say that they are
// old.
func TestPageServerGoneAndBack(t *testing.T) {
	v := newVisitor(t, "gone.example", "")
	m := monthOf(t, dashboardOf(t, v))
	m.sell("ann", 3, 10000)
	m.load()
	var failure atomic.Value
	failure.Store("")
	page := world.pages.handler(v.host)
	v.handle(v.host, func(w http.ResponseWriter, r *http.Request) {
		if fail := failures[failure.Load().(string)]; fail != nil {
			fail(w, r)
			return
		}
		page(w, r)
	})
	v.open("https://" + v.host + "/?range=last_month")
	v.shows(tile("net"), "$100.00")
	other := v.newTab() // two tabs of one person, who may ask three questions at a time
	other.open("https://" + v.host + "/?range=last_month&section=sales")
	other.shows(`document.querySelectorAll("table.sales tbody tr").length`, "1")
	other.answered()
	sales, net := 1, "$100.00"
	for _, name := range slices.Sorted(maps.Keys(failures)) {
		failure.Store(name)
		v.shows(`document.querySelector("section.bare").classList.contains("stale")`, "true")
		if name == "closed" || name == "cut" {
			v.shows(`document.querySelector("#error").innerText.startsWith("The dashboard does not answer.")`, "true")
			v.shows(`document.body.classList.contains("stale")`, "true")
			other.shows(`document.querySelector("#pulse").className`, "bad")
		} else {
			v.shows(`document.querySelector("section.bare .status").textContent.startsWith("The answer cannot be read.")`,
				"true")
		}
		v.want(tile("net"), net)
		m.sell("ann", 3+sales, 5000)
		m.load()
		sales, net = sales+1, fmt.Sprintf("$%d.00", 100+50*sales)
		failure.Store("")
		v.shows(tile("net"), net)
		v.shows(`document.querySelector("#error").hidden`, "true")
		other.shows(`document.querySelectorAll("table.sales tbody tr").length`, fmt.Sprint(sales))
		other.shows(`document.querySelector("#pulse").className`, "live")
	}
	// The page waits for another state again, and does not ask all questions each five seconds.
	v.exec(`performance.clearResourceTimings()`)
	v.shows(`performance.getEntriesByType("resource").some((e) => e.name.includes("/api/state?after="))`, "true")
}
