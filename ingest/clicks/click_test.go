package clicks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tributary/ingest/geo"
	"tributary/ingest/geo/geotest"
	"tributary/schemas"
)

func TestClick(t *testing.T) {
	received := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	e := newEdge(t, func(c *Config) {
		c.now = func() time.Time { return received }
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	id := schemas.NewClickID(received.Add(-time.Minute)).String()
	a := e.do("POST", "/v1/click", `{"key":"pk_1","click_id":"`+id+`","program_id":"p1","affiliate_id":42.0,"link_id":"l1","url":"https://shop.example/?utm_source=x",
		"referrer":"https://google.com/","visitor_id":"v1","event_time":"2026-11-20T11:59:30Z","trigger":"qr","consent":"granted","later_field":[1],
		"properties":{"plan":"pro","n":3,"yes":true,"none":null}}`,
		"User-Agent: Firefox/1", "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.3", "CF-IPCountry: de",
		"X-Vercel-IP-City: K%C3%B6ln")
	e.want(a, 200, "")
	if got := a.field(t, "click_id"); got != id {
		t.Errorf("click_id %s, want %s", got, id)
	}
	if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Server") != "" ||
		a.Header.Get("Set-Cookie") != "" {
		t.Errorf("headers %v", a.Header)
	}
	c := e.nextClick()
	if idText(c.ClickId) != id || c.Workspace != "default" || c.ForeignId != "" || c.ProgramId != "p1" ||
		c.AffiliateId != "42" || c.LinkId != "l1" ||
		c.Url != "https://shop.example/?utm_source=x" || c.Referrer != "https://google.com/" || c.VisitorId != "v1" ||
		c.Trigger != "qr" ||
		c.Consent != "granted" || c.UserAgent != "Firefox/1" || c.Country != "DE" || c.City != "Köln" {
		t.Errorf("click %v", c)
	}
	if c.ClickedAt != received.Add(-30*time.Second).UnixMilli() || c.ReceivedAt != received.UnixMilli() {
		t.Errorf("clicked_at %d, received_at %d", c.ClickedAt, c.ReceivedAt)
	}
	if len(c.Properties) != 3 || c.Properties["plan"] != "pro" || c.Properties["n"] != "3" ||
		c.Properties["yes"] != "true" {
		t.Errorf("properties %v", c.Properties)
	}
	// The proxy's word counts, the visitor's own 6.6.6.6 does not.
	want := e.server.identities.append(nil, nil, received, netip.MustParseAddr("203.0.113.200"), "Firefox/1",
		"shop.example")
	if !bytes.Equal(c.IdentityHash, want) || len(want) != 8 {
		t.Errorf("identity hash %x, want %x of 203.0.113.0/24", c.IdentityHash, want)
	}
	if text := c.String(); strings.Contains(text, "203.0.113") || strings.Contains(text, "6.6.6.6") {
		t.Errorf("an address is in the record: %s", text)
	}
	if n := testutil.ToFloat64(e.server.metrics.unknownFields); n != 1 {
		t.Errorf("%v unknown fields counted, want 1", n)
	}
	if n := testutil.ToFloat64(e.server.metrics.accepted); n != 1 {
		t.Errorf("%v accepted, want 1", n)
	}
}

// The place comes from a trusted proxy's headers, else from the files, and never from what a
// browser writes. The address of the place is not in the record.
func TestPlaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	file := geotest.File("City and ASN", map[string]geotest.Map{
		"203.0.113.0/24": {"continent": geotest.Map{"code": "EU"}, "country": geotest.Map{"iso_code": "DE"},
			"subdivisions": geotest.List{geotest.Map{"iso_code": "BE"}},
			"city":         geotest.Map{"names": geotest.Map{"en": "Berlin"}}},
		"198.51.100.0/24": {"country_code": "US", "state1": "Virginia", "city": "Ashburn",
			"autonomous_system_number": uint32(16509)},
	})
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	e := newEdge(t, func(c *Config) {
		var err error
		if c.Geo, err = geo.Open([]string{path}, ""); err != nil {
			t.Fatal(err)
		}
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.Workspaces, _ = LoadWorkspaces("", "sk_test")
	})
	for _, test := range []struct {
		name, body string
		headers    []string
		want       string // continent, country, region, city, datacenter, purpose
	}{
		{"file", "", []string{"X-Forwarded-For: 203.0.113.7"}, "EU DE BE Berlin false "},
		{"hosting network", "", []string{"X-Forwarded-For: 198.51.100.7"}, " US Virginia Ashburn true "},
		{"proxy's country", "", []string{"X-Forwarded-For: 203.0.113.7", "CF-IPCountry: AT"}, " AT   false "},
		{"proxy's country is the file's", "", []string{"X-Forwarded-For: 203.0.113.7", "CF-IPCountry: DE",
			"CF-IPContinent: EU"}, "EU DE BE Berlin false "},
		{"proxy's city", "", []string{"X-Forwarded-For: 203.0.113.7", "X-Vercel-IP-Country: DE", "X-Vercel-IP-City: Spandau"},
			"EU DE  Spandau false "},
		{"unknown address", "", []string{"X-Forwarded-For: 192.0.2.1"}, "    false "},
		{"the browser's word", `,"country":"FR","city":"Paris","region":"IDF"`, []string{"X-Forwarded-For: 192.0.2.1"},
			"    false "},
		{"prefetch", "", []string{"X-Forwarded-For: 192.0.2.1", "Sec-Purpose: prefetch"}, "    false prefetch"},
		{"prerender", "", []string{"X-Forwarded-For: 192.0.2.1", "Sec-Purpose: prefetch;prerender"}, "    false prerender"},
		{"backend's address", `,"ip":"203.0.113.7"`, []string{"Authorization: Bearer sk_test"}, "EU DE BE Berlin false "},
		{"backend's country", `,"ip":"203.0.113.7","country":"fr"`, []string{"Authorization: Bearer sk_test"},
			" FR   false "},
		{"backend's own address", "", []string{"Authorization: Bearer sk_test", "X-Forwarded-For: 203.0.113.7"},
			"    false "},
	} {
		e.want(e.do("POST", "/v1/click", `{"link_id":"l"`+test.body+`}`, test.headers...), 200, "")
		c := e.nextClick()
		got := fmt.Sprint(c.Continent, " ", c.Country, " ", c.Region, " ", c.City, " ", c.Datacenter, " ", c.Purpose)
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if text := c.String(); strings.Contains(text, "203.0.113") || strings.Contains(text, "198.51.100") {
			t.Errorf("%s: an address is in the record: %s", test.name, text)
		}
	}
}

// A browser's client hints go on as sent; a backend's own say nothing of the visitor, and no body
// can set them.
func TestHints(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk_test") })
	headers := []string{`Sec-CH-UA: "Brave";v="131", "Chromium";v="131"`, `Sec-CH-UA-Platform: "Windows"`,
		`Sec-CH-UA-Platform-Version: "15.0.0"`}
	f := func(want string, headers ...string) {
		t.Helper()
		e.want(e.do("POST", "/v1/click", `{"link_id":"l","hint_brands":"x","hint_platform":"y"}`, headers...), 200, "")
		c := e.nextClick()
		if got := c.HintBrands + "|" + c.HintPlatform + "|" + c.HintPlatformVersion; got != want {
			t.Errorf("%v: got %s, want %s", headers, got, want)
		}
	}
	f(`"Brave";v="131", "Chromium";v="131"|"Windows"|"15.0.0"`, headers...)
	f("||")
	f("||", headers[1:]...)
	f("||", append(headers, "Authorization: Bearer sk_test")...)
	f(strings.Repeat("é", maxHint/2)+"||", "Sec-CH-UA: "+strings.Repeat("é", maxHint))
}

// Memory is used again for the next request; nothing of one event may appear in another.
func TestEventsDoNotMix(t *testing.T) {
	e := newEdge(t, nil)
	e.want(e.do("POST", "/v1/click",
		`{"url":"https://a.example/","program_id":"p","visitor_id":"v","consent":"granted","properties":{"a":"1","b":"2"},"click_id":"mine"}`), 200, "")
	first := e.nextClick()
	for range 20 {
		e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`), 200, "")
		c := e.nextClick()
		if c.Url != "" || c.ProgramId != "" || c.VisitorId != "" || c.Consent != "" || c.ForeignId != "" ||
			len(c.Properties) != 0 || c.LinkId != "l" || c.Trigger != "link" {
			t.Fatalf("second click %v", c)
		}
		if bytes.Equal(c.ClickId, first.ClickId) {
			t.Fatal("two clicks with one id")
		}
	}
}

func TestIDsAndTimes(t *testing.T) {
	received := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	e := newEdge(t, func(c *Config) {
		c.now = func() time.Time { return received }
		c.Workspaces, _ = LoadWorkspaces("", "sk_test")
	})
	ms := func(d time.Duration) int64 { return received.Add(d).UnixMilli() }
	num := func(d time.Duration) string { b, _ := json.Marshal(ms(d)); return string(b) }
	id := func(d time.Duration) string { return schemas.NewClickID(received.Add(d)).String() }
	const day = 24 * time.Hour
	tests := []struct {
		name    string
		id, at  string // at is JSON
		secret  bool
		keeps   bool // the id is kept, else it becomes foreign
		clicked int64
	}{
		{"nothing given", "", "", false, false, ms(0)},
		{"its id has the time", id(-time.Hour), "", false, true, ms(-time.Hour)},
		{"event_time before the id's", id(-time.Hour), num(-2 * time.Hour), false, true, ms(-2 * time.Hour)},
		{"milliseconds as a string", "", `"` + num(-time.Hour) + `"`, false, false, ms(-time.Hour)},
		{"fraction", "", num(-time.Hour) + ".75", false, false, ms(-time.Hour)},
		{"RFC 3339 with an offset", "", `"2026-11-20T12:30:00.5+01:00"`, false, false, ms(-30*time.Minute) + 500},
		{"clamped to 30 days ago", "", num(-31 * day), false, false, ms(-30 * day)},
		{"clamped to 5 minutes ahead", "", num(time.Hour), false, false, ms(5 * time.Minute)},
		{"a text of years ago is clamped", "", `"1999-01-01T00:00:00Z"`, false, false, ms(-30 * day)},
		{"a text of years ahead is clamped", "", `"2199-01-01T00:00:00Z"`, false, false, ms(5 * time.Minute)},
		{"an id at the old edge", id(-30 * day), "", false, true, ms(-30 * day)},
		{"an id too old", id(-31 * day), "", false, false, ms(0)},
		{"an id too new", id(6 * time.Minute), "", false, false, ms(0)},
		{"an id too old, with a time", id(-31 * day), num(-day), false, false, ms(-day)},
		{"a foreign id", "nanoid_8x2", "", false, false, ms(0)},
		{"an id with a prefix", "pimms_id_" + id(-time.Hour), "", false, true, ms(-time.Hour)},
		{"a foreign id with a prefix", "pimms_id_aBcDeFgHiJ123456", "", false, false, ms(0)},
		{"a UUIDv4", "9f1b1a2c-6a2b-4d0e-8f3b-1c2d3e4f5a6b", "", false, false, ms(0)},
		{"import: any time", "", `"2019-01-02T03:04:05Z"`, true, false, time.Date(2019, 1, 2, 3, 4, 5, 0,
			time.UTC).UnixMilli()},
		{"import: any id", id(-400 * day), "", true, true, ms(-400 * day)},
		{"import: id and time", id(-400 * day), num(-399 * day), true, true, ms(-399 * day)},
		{"import: the future", "", num(100 * day), true, false, ms(100 * day)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := `{"url":"https://shop.example/"`
			if tt.id != "" {
				body += `,"click_id":"` + tt.id + `"`
			}
			if tt.at != "" {
				body += `,"event_time":` + tt.at
			}
			var headers []string
			if tt.secret {
				headers = append(headers, "Authorization: Bearer sk_test")
			}
			a := e.do("POST", "/v1/click", body+"}", headers...)
			e.want(a, 200, "")
			c := e.nextClick()
			if c.ClickedAt != tt.clicked {
				t.Errorf("clicked_at %s, want %s", time.UnixMilli(c.ClickedAt).UTC(), time.UnixMilli(tt.clicked).UTC())
			}
			if got := a.field(t, "click_id"); got != idText(c.ClickId) {
				t.Errorf("answered %s, stored %s", got, idText(c.ClickId))
			}
			tt.id = strings.TrimPrefix(tt.id, "pimms_id_")
			switch {
			case tt.keeps && (idText(c.ClickId) != tt.id || c.ForeignId != ""):
				t.Errorf("id %s, foreign %q; want %s kept", idText(c.ClickId), c.ForeignId, tt.id)
			case !tt.keeps && (idText(c.ClickId) == tt.id || c.ForeignId != tt.id):
				t.Errorf("id %s, foreign %q; want %q foreign", idText(c.ClickId), c.ForeignId, tt.id)
			case !tt.keeps && schemas.ClickID(c.ClickId).Time().UnixMilli() != tt.clicked:
				t.Errorf("the new id carries %s", schemas.ClickID(c.ClickId).Time())
			}
		})
	}
	// What cannot be milliseconds is refused, whoever sends it: clamped, it would be a click of
	// another day.
	for _, at := range []string{"1000", "0", "-1", "1795176000", "99999999999", "1795176000000000",
		"1e300", `"1795176000"`,
		// The same as texts: seconds for milliseconds, and a time that a program has not set.
		`"1970-01-21T18:39:36Z"`, `"1970-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"0000-12-31T23:59:59Z"`,
		`"9999-12-31T23:59:59Z"`} {
		for _, auth := range []string{"X: y", "Authorization: Bearer sk_test"} {
			e.want(e.do("POST", "/v1/click", `{"url":"https://shop.example/","event_time":`+at+`}`, auth), 400, "bad_time")
		}
		e.want(e.do("GET", "/v1/click.gif?link_id=l&event_time="+strings.Trim(at, `"`), ""), 400, "bad_time")
		a := e.do("POST", "/v1/clicks", `[{"link_id":"l","event_time":`+at+`}]`)
		if a.StatusCode != 200 || !strings.Contains(a.body, `"accepted":0`) {
			t.Errorf("a batch with event_time %s: %d %s", at, a.StatusCode, a.body)
		}
	}
	// An import is corrected by its author, not by us.
	for _, at := range []string{"1700000000", `"2300-01-01T00:00:00Z"`, "-5"} {
		e.want(e.do("POST", "/v1/click", `{"url":"https://shop.example/","event_time":`+at+`}`,
			"Authorization: Bearer sk_test"), 400, "bad_time")
	}
}

// What programs write around the values does not matter: a byte order mark, space around ids, an
// encoding that is none.
func TestLenient(t *testing.T) {
	e := newEdge(t, nil)
	body := "\ufeff" + ` {"affiliate_id":"  anna\t","program_id":" p ","link_id":"\u00a0l\n","visitor_id":" v ","click_id":" c1 ","url":" https://a.example/?token=x&via=anna ","referrer":"https://b.example/?email=a%40b.example"} `
	for _, path := range []string{"/v1/click", "/v1/clicks"} {
		e.want(e.do("POST", path, body, "Content-Encoding: Identity"), 200, "")
		c := e.nextClick()
		if c.AffiliateId != "anna" || c.ProgramId != "p" || c.LinkId != "l" || c.VisitorId != "v" || c.ForeignId != "c1" ||
			c.Url != "https://a.example/?via=anna" || c.Referrer != "https://b.example/" {
			t.Errorf("%s: %v", path, c)
		}
	}
	e.want(e.do("GET", "/v1/click.gif?affiliate_id=+anna+&url=https%3A%2F%2Fa.example%2F%3Fpassword%3Dx", ""), 200, "")
	if c := e.nextClick(); c.AffiliateId != "anna" || c.Url != "https://a.example/" {
		t.Errorf("pixel: %v", c)
	}
	e.want(e.do("POST", "/v1/clicks", "\ufeff[{\"link_id\":\"a\"}]"), 200, "")
	e.records(1)
}

// The same click sent twice is two records with one key: the first received wins further down.
func TestDuplicate(t *testing.T) {
	e := newEdge(t, nil)
	body := `{"url":"https://shop.example/","click_id":"` + schemas.NewClickID(time.Now()).String() + `"}`
	e.want(e.do("POST", "/v1/click", body), 200, "")
	e.want(e.do("POST", "/v1/click", body), 200, "")
	r := e.records(2)
	if !bytes.Equal(r[0].Key, r[1].Key) || r[0].Partition != r[1].Partition {
		t.Errorf("keys %x and %x, partitions %d and %d", r[0].Key, r[1].Key, r[0].Partition, r[1].Partition)
	}
}

func TestPrivacy(t *testing.T) {
	e := newEdge(t, nil)
	tests := []struct {
		name, consent, header string
		hashed                bool
		visitor               string
	}{
		{"said nothing", "", "", true, "v"},
		{"granted", "granted", "", true, "v"},
		{"denied", "denied", "", false, ""},
		{"Global Privacy Control", "", "Sec-GPC: 1", false, ""},
		{"Global Privacy Control and consent", "granted", "Sec-GPC: 1", false, ""},
		{"Do Not Track", "", "DNT: 1", false, ""},
		{"Do Not Track and consent", "granted", "DNT: 1", false, ""},
		{"may be tracked", "", "DNT: 0", true, "v"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			e.want(e.do("POST", "/v1/click",
				`{"url":"https://a.example/?gclid=g1&via=ann#FBCLID=f1","referrer":"https://b.example/?q=1&msclkid=m1","visitor_id":"v","ip":"198.51.100.1","country":"FR","consent":"`+tt.consent+`"}`, headers...), 200, "")
			c := e.nextClick()
			if (len(c.IdentityHash) == 8) != tt.hashed || c.VisitorId != tt.visitor || c.Consent != tt.consent {
				t.Errorf("identity_hash %x, visitor_id %q, consent %q", c.IdentityHash, c.VisitorId, c.Consent)
			}
			url, referrer := "https://a.example/?gclid=g1&via=ann#FBCLID=f1", "https://b.example/?q=1&msclkid=m1"
			if !tt.hashed {
				url, referrer = "https://a.example/?gclid=&via=ann#FBCLID=", "https://b.example/?q=1&msclkid="
			}
			if c.Url != url || c.Referrer != referrer {
				t.Errorf("url %s, referrer %s; want %s and %s", c.Url, c.Referrer, url, referrer)
			}
			if c.Country != "" {
				t.Errorf("country %q was believed without a secret key", c.Country)
			}
		})
	}
}

func TestImport(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	body := `{"url":"https://acme.example/","ip":"198.51.100.77","user_agent":"Old/1","country":"fr","region":"IDF","city":"Paris","key":"ignored"}`
	e.want(e.do("POST", "/v1/click", body, "Authorization: Bearer sk_acme", "User-Agent: importer/9"), 200, "")
	c := e.nextClick()
	if !c.Vouched || c.Workspace != "acme" || c.UserAgent != "Old/1" || c.Country != "FR" || c.Region != "IDF" ||
		c.City != "Paris" || len(c.IdentityHash) != 8 {
		t.Errorf("click %v", c)
	}
	e.want(e.do("POST", "/v1/click", `{"url":"https://acme.example/"}`, "Authorization: bearer sk_acme",
		"User-Agent: importer/9"), 200, "")
	if c := e.nextClick(); !c.Vouched || c.UserAgent != "" || len(c.IdentityHash) != 0 {
		t.Errorf("the importer itself was taken for a visitor: %v", c)
	}
	for _, headers := range [][]string{{"Origin: https://acme.example"}, {"Origin: https://acme.example",
		"Authorization: Bearer pk_acme"}} {
		e.want(e.do("POST", "/v1/click", `{"key":"pk_acme","link_id":"l","vouched":true}`, headers...), 200, "")
		if c := e.nextClick(); c.Vouched {
			t.Errorf("a browser's click is vouched for: %v", c)
		}
	}
	e.want(e.do("POST", "/v1/click", body, "Authorization: Bearer sk_wrong"), 401, "unknown_secret_key")
	e.want(e.do("POST", "/v1/click", `{"url":"https://a.example/","ip":"1.2.3"}`, "Authorization: Bearer sk_acme"), 400,
		"bad_ip")
	e.want(e.do("POST", "/v1/click", `{"url":"https://a.example/","country":"Germany"}`, "Authorization: Bearer sk_acme"),
		400, "bad_country")
	e.nothing()
}
