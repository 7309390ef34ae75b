package browser

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tributary/ingest/clicks"
)

// till stands for Stripe: it takes references of sessions and payment links, and refuses what
// Stripe refuses.
type till struct {
	mu         sync.Mutex // guards what follows
	references []string   // of each payment; "none" without one
	refused    int
}

// take checks a reference as Stripe does: it may be absent, but not empty, and not longer than 200
// characters.
func (s *till) take(reference string, given bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !given:
		s.references = append(s.references, "none")
	case reference == "" || len(reference) > 200:
		s.refused++
		return false
	default:
		s.references = append(s.references, reference)
	}
	return true
}

func (s *till) want(t *testing.T, references ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused > 0 || strings.Join(s.references, " ") != strings.Join(references, " ") {
		t.Errorf("references %v, %d refused; want %v", s.references, s.refused, references)
	}
}

// ServeHTTP is a payment link.
func (s *till) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if r.URL.Path == "/favicon.ico" { // which a browser asks for when it likes
		return
	}
	if !s.take(query.Get("client_reference_id"), query.Has("client_reference_id")) {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// Push Lap Growth's guide: the page hands window.affiliateId to the backend, which makes a session
// with it.
func TestPushLapGuide(t *testing.T) {
	v := newProfile(t)
	for _, place := range []string{"client_reference_id", "metadata"} {
		t.Run(place, func(t *testing.T) {
			host := strings.ReplaceAll(place, "_", "-") + ".pushlap.example"
			body := `{client_reference_id: window.affiliateId}`
			if place == "metadata" {
				body = `{metadata: {pushLapAffiliateId: window.affiliateId}}`
			}
			v.visit(t, host, `<script src="`+edgeURL+`/t.js" data-affiliate data-program-id="p1"></script>
				<script>window.buy = () => fetch("/buy", {method: "POST", body: JSON.stringify(`+body+`)})
					.then((r) => window.bought = r.status)</script>`)
			stripe := new(till)
			v.handle(host+"/buy", func(w http.ResponseWriter, r *http.Request) {
				var session struct {
					Reference *string `json:"client_reference_id"`
					Metadata  map[string]*string
				}
				if err := json.NewDecoder(r.Body).Decode(&session); err != nil {
					t.Error(err)
				}
				reference := session.Reference
				if place == "metadata" {
					reference = session.Metadata["pushLapAffiliateId"]
				}
				if reference == nil {
					stripe.take("", false)
				} else if !stripe.take(*reference, true) {
					w.WriteHeader(http.StatusBadRequest)
				}
			})
			buy := func() {
				v.exec("window.bought = 0; buy()")
				v.becomes("window.bought", "200")
			}
			v.open("/")
			buy()
			v.open("/?via=lena")
			buy()
			v.open("/pricing")
			buy()
			stripe.want(t, "none", "lena", "lena")
			v.beacons("pageview at /", "link of lena at /?via=lena", "pageview at /pricing")
			v.noErrors()
		})
	}
}

// PiMMs' guide: the backend reads the cookie pimms_id, or the page sends window.pimms_id, and a
// customer is made with it.
func TestPiMMsGuide(t *testing.T) {
	host := "pimms.example"
	v := newVisitor(t, host, `<script defer src="`+edgeURL+`/t.js"></script>`)
	stripe := new(till)
	v.handle(host+"/buy", func(_ http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("pimms_id"); err != nil {
			stripe.take("", false)
		} else {
			stripe.take(c.Value, true)
		}
		stripe.take(r.Header.Get("pimms_id"), r.Header.Get("pimms_id") != "")
	})
	buy := func() {
		v.exec(`window.bought = 0; fetch("/buy", {headers: window.pimms_id ? {pimms_id: window.pimms_id} : {}})
			.then((r) => window.bought = r.status)`)
		v.becomes("window.bought", "200")
	}
	v.open("/")
	buy()
	v.open("/?pimms_id=aBcDeFgHiJ123456")
	buy()
	v.open("/?via=lena")
	id := v.eval("window.pimms_id")
	buy()
	stripe.want(t, "none", "none", "aBcDeFgHiJ123456", "aBcDeFgHiJ123456", id, id)
	v.noErrors()
}

// Payment links, pricing tables and buy buttons name the click, also those that are added later;
// what names another does not.
func TestPaymentLinks(t *testing.T) {
	stripe := new(till)
	const links = `
		<a id=plain href="http://buy.stripe.com/a">
		<a id=query href="http://buy.stripe.com/a?prefilled_email=a%40b.example&client_reference_id=#x">
		<a id=other href="http://buy.stripe.com/a?client_reference_id=project_123">
		<a id=far href="http://buy.stripe.com.evil.example/a">
		<a id=near href="http://notstripe.com/a">
		<a id=own href="http://pay.links.example/b/1"><a id=account href="http://links.example/account">
		<a id=gift href="http://donate.stripe.com/a"><a id=visit href="http://book.stripe.com/a">
		<a id=mail href="mailto:a@b.example"><a id=none>
		<svg><a id=svg href="http://buy.stripe.com/a"></a></svg>
		<stripe-pricing-table id=table></stripe-pricing-table>
		<stripe-buy-button id=button client-reference-id="project_123"></stripe-buy-button>
		<form><input type=hidden name=pimms_id id=field><input type=hidden name=tributary_id id=full value=mine>
			<input name=email id=email></form>`
	v := newVisitor(t, "links.example",
		snippetWith(`data-stripe-domains="pay.links.example" data-domains="links.example"`)+links)
	v.handle("buy.stripe.com", stripe.ServeHTTP)
	// Nobody referred: everything stays as it is.
	v.open("/")
	v.want("plain.href", "http://buy.stripe.com/a")
	v.want(`table.hasAttribute("client-reference-id")`, "false")
	v.want("field.value", "")

	v.open("/?via=ann")
	id := v.eval("tributary.clickId")
	v.want("plain.href", "http://buy.stripe.com/a?client_reference_id="+id)
	v.want("query.href", "http://buy.stripe.com/a?prefilled_email=a%40b.example&client_reference_id="+id+"#x")
	v.want("other.href", "http://buy.stripe.com/a?client_reference_id=project_123")
	v.want("far.href", "http://buy.stripe.com.evil.example/a")
	v.want("near.href", "http://notstripe.com/a")
	v.want("gift.search + visit.search", "?client_reference_id="+id+"?client_reference_id="+id)
	v.want("own.search + account.search", "?client_reference_id="+id) // Stripe serves a domain of the site's own
	v.want("mail.href", "mailto:a@b.example")
	v.want(`table.getAttribute("client-reference-id")`, id)
	v.want(`button.getAttribute("client-reference-id")`, "project_123")
	v.want("field.value + full.value + email.value", id+"mine")

	v.exec(`document.body.insertAdjacentHTML("beforeend",
		'<div><a id=late href="http://buy.stripe.com/b"></a><stripe-buy-button id=late2></stripe-buy-button></div>')`)
	v.becomes("late.search", "?client_reference_id="+id)
	v.becomes(`late2.getAttribute("client-reference-id")`, id)
	v.exec(`plain.href = "http://buy.stripe.com/c"`) // a framework that draws the link again
	v.becomes("plain.href", "http://buy.stripe.com/c?client_reference_id="+id)

	// The next click takes the place of the one before, and of nothing else.
	v.exec(`history.pushState({}, "", "/?via=bob")`)
	second := v.eval("tributary.clickId")
	if second == id {
		t.Fatal("no second click")
	}
	v.want("plain.search", "?client_reference_id="+second)
	v.want(`table.getAttribute("client-reference-id")`, second)
	v.want("field.value + full.value", second+"mine")
	v.want("other.search", "?client_reference_id=project_123")
	v.navigates("plain.click()")
	stripe.want(t, second)
	v.noErrors()
}

// What stands in open shadow roots names the click as well: roots within roots, those that are
// there before the script, those of elements that are defined later, and what is added to one.
func TestShadowRoots(t *testing.T) {
	const inner = `<a href="http://buy.stripe.com/a">buy</a><stripe-buy-button></stripe-buy-button><input name=pimms_id>`
	v := newVisitor(t, "shadow.example", snippet+`
		<div id=outer><template shadowrootmode=open>`+inner+`
			<p id=nested><template shadowrootmode=open>`+inner+`</template></p></template></div>
		<late-card></late-card>
		<script type=module>customElements.define("late-card", class extends HTMLElement {
			constructor() { super().attachShadow({mode: "open"}).innerHTML = '`+inner+`' } })</script>
		<script>window.ids = (root) => [...root.querySelectorAll("a, stripe-buy-button, input")].map((e) =>
			(e.search || "").replace("?client_reference_id=", "") || e.getAttribute("client-reference-id") || e.value).join()</script>`)
	v.open("/")
	v.want("ids(outer.shadowRoot)", ",,")
	v.open("/?via=ann")
	id := v.eval("tributary.clickId")
	all := id + "," + id + "," + id
	v.becomes("ids(outer.shadowRoot)", all)
	v.becomes("ids(outer.shadowRoot.querySelector('#nested').shadowRoot)", all)
	v.becomes("ids(document.querySelector('late-card').shadowRoot)", all)
	v.exec(`outer.shadowRoot.querySelector("#nested").shadowRoot.append(document.createElement("stripe-pricing-table"))`)
	v.becomes(`outer.shadowRoot.querySelector("#nested").shadowRoot.lastChild.getAttribute("client-reference-id")`, id)
	v.noErrors()
}

// The element with a hash loads the version that it names; the browser refuses any other.
func TestPinnedVersion(t *testing.T) {
	element := clicks.ScriptElement(edgeURL, "pk_test")
	v := newVisitor(t, "pinned.example", element)
	v.serve("pinned.example/changed", strings.Replace(element, "sha384-", "sha384-A", 1))
	v.open("/?via=ann")
	v.beacons("link of ann at /?via=ann")
	v.open("/changed?via=bob")
	v.want("typeof window.tributary", "undefined")
	v.sent(1)
}

// A reference that Stripe would not take never reaches it.
func TestHostileIds(t *testing.T) {
	v := newVisitor(t, "hostileids.example", "")
	v.handle(v.host, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, snippet+`<a id=plain href="http://buy.stripe.com/a">`)
	})
	for _, query := range []string{"pimms_id=", "pimms_id=" + strings.Repeat("x", 201), "dub_id=%3Cscript%3E",
		"tributary_id=a%20b", "via=", "utm_source="} {
		v.open("/?" + query)
		v.want("plain.href", "http://buy.stripe.com/a")
		v.want("window.pimms_id", "undefined")
	}
	v.noErrors()
}
