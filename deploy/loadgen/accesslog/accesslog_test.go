package accesslog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	f := func(text, address, at, method, target, referrer, agent string) {
		t.Helper()
		l, err := parse(1, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, _ := time.Parse(time.RFC3339, at)
		if l.Address != address || !l.Time.Equal(want) || l.Method != method || l.Target != target ||
			l.Referrer != referrer || l.Agent != agent {
			t.Fatalf("%s:\n%+v", text, l)
		}
	}
	f(`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 512 "https://from.example/" "Mozilla/5.0 (X11; Linux x86_64)"`,
		"203.0.113.7", "2026-05-17T10:05:03Z", "GET", "/a?b=c", "https://from.example/", "Mozilla/5.0 (X11; Linux x86_64)")
	f(`2001:db8::1 - ada [17/May/2026:12:05:03 +0200] "HEAD / HTTP/2.0" 304 - "-" "-"`,
		"2001:db8::1", "2026-05-17T10:05:03Z", "HEAD", "/", "", "")
	f(`host.example - - [01/Jan/2026:00:00:00 -0500] "GET /with space HTTP/1.0" 404 1 "-" "a \"quoted\" agent \\ [x]"`,
		"", "2026-01-01T05:00:00Z", "GET", "/with space", "", `a "quoted" agent \ [x]`)
	f(`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET /old" 200 512 "-" "curl/8.5.0" "extra" 0.004`,
		"203.0.113.7", "2026-05-17T10:05:03Z", "GET", "/old", "", "curl/8.5.0")
}

// The site and a list of addresses before the time, as proxies and virtual hosts log them.
func TestParseHead(t *testing.T) {
	f := func(head, site, address string) {
		t.Helper()
		l, err := parse(1, head+` [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`)
		if err != nil || l.Site != site || l.Address != address {
			t.Errorf("%s: site %q, address %q, %v; want %q and %q", head, l.Site, l.Address, err, site, address)
		}
	}
	f("203.0.113.7 - -", "", "203.0.113.7")
	f("203.0.113.7 - ada lovelace", "", "203.0.113.7")
	f("shop.example:443 203.0.113.7 - -", "shop.example:443", "203.0.113.7")
	f("shop.example 2001:db8::5 - -", "shop.example", "2001:db8::5")
	f("203.0.113.7, 10.0.0.1 - -", "", "203.0.113.7")
	f("203.0.113.7,10.0.0.1 - -", "", "203.0.113.7")
	f("unknown, 203.0.113.7, 10.0.0.1 - -", "", "203.0.113.7")
	f("shop.example:443 203.0.113.7, 10.0.0.1 - -", "shop.example:443", "203.0.113.7")
	f("203.0.113.7:4711 - -", "", "203.0.113.7")
	f("[2001:db8::5]:4711 - -", "", "2001:db8::5")
	f("- - -", "", "")
	f("- 203.0.113.7 - -", "", "203.0.113.7")
	f("http://evil/ 203.0.113.7 - -", "", "203.0.113.7")
	f("client.example - -", "", "")
}

func TestParseEscapes(t *testing.T) {
	f := func(logged, want string) {
		t.Helper()
		l, err := parse(1, `203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET /`+logged+
			` HTTP/1.1" 200 1 "https://from.example/`+logged+`" "`+logged+`"`)
		if err != nil || l.Agent != want || l.Target != "/"+want || l.Referrer != "https://from.example/"+want {
			t.Errorf("%s: %q, %q, %q, %v; want %q", logged, l.Target, l.Referrer, l.Agent, err, want)
		}
	}
	f(`caf\xc3\xa9`, "café")
	f(`caf\xC3\xA9`, "café")
	f(`a\x22b\x5Cc`, `a"b\c`)
	f(`a\"b\\c`, `a"b\c`)
	f(`a\tb`, "a\tb")
	f(`a\xzzb\q`, `a\xzzb\q`)
	f(`a\\xc3`, `a\xc3`)
}

func TestNoVisit(t *testing.T) {
	f := func(request, status, agent, want string) {
		t.Helper()
		l, err := parse(1, `203.0.113.7 - - [17/May/2026:10:05:03 +0000] "`+request+`" `+status+` 1 "-" "`+agent+`"`)
		if got := l.NoVisit(); err != nil || got != want {
			t.Errorf("%s %s: %q, %v; want %q", request, status, got, err, want)
		}
	}
	f("GET / HTTP/1.1", "200", "x", "")
	f("GET / HTTP/1.1", "304", "x", "")
	f("GET /old", "200", "x", "")
	f("GET /docs/v1.2 HTTP/2.0", "200", "x", "")
	f("GET /index.php?file=style.css HTTP/1.1", "200", "x", "")
	f("GET /a.html#x.png HTTP/1.1", "200", "x", "")
	f("GET http://shop.example HTTP/1.1", "200", "x", "")
	f("GET /a HTTP/1.1", "200", "Googlebot/2.1", "") // a machine's visit, which the processor flags

	f("HEAD / HTTP/1.1", "200", "x", reasonMethod)
	f("POST /pay HTTP/1.1", "200", "x", reasonMethod)
	f("OPTIONS * HTTP/1.0", "200", "x", reasonMethod)
	f("OPTIONS * HTTP/1.0", "200", "Apache/2.4 (Ubuntu) (internal dummy connection)", reasonOwn)
	f("GET / HTTP/1.0", "200", "Apache/2.2.2 (Fedora) (internal dummy connection)", reasonOwn)
	f("GET * HTTP/1.1", "200", "x", reasonNoPath)
	f("GET /a HTTP/1.1", "404", "x", reasonFailed)
	f("GET /a HTTP/1.1", "500", "x", reasonFailed)
	f("GET /a HTTP/1.1", "499", "x", reasonFailed)
	f("GET /a HTTP/1.1", "301", "x", reasonRedirect)
	f("GET /a HTTP/1.1", "206", "x", reasonNoContent)
	f("GET /a HTTP/1.1", "-", "x", reasonNoContent)
	f("GET /style.CSS?v=2 HTTP/1.1", "200", "x", reasonAsset)
	f("GET /a/b.js HTTP/1.1", "304", "x", reasonAsset)
	f("GET http://shop.example/x.png HTTP/1.1", "200", "x", reasonAsset)
	f("GET /favicon.ico HTTP/1.1", "200", "x", reasonAsset)
	f("GET /robots.txt HTTP/1.1", "200", "x", reasonBackground)
	f("GET /.well-known/security HTTP/1.1", "200", "x", reasonBackground)
	for _, path := range []string{"/cdn-cgi/rum?x=1", "/_next/image?url=a", "/wp-json/wp/v2/posts",
		"/apple-app-site-association", "/wp-admin/admin-ajax.php?action=x"} {
		f("GET "+path+" HTTP/1.1", "200", "x", reasonBackground)
	}
	ahead, err := new(parser).parse(1, `{"ts":1779012303,"request":{"method":"GET","uri":"/a","headers":{"Sec-Purpose":`+
		`["prefetch;prerender"]}},"status":200}`)
	if err != nil || ahead.NoVisit() != reasonPrefetch {
		t.Errorf("a prefetch is a visit: %q, %v", ahead.NoVisit(), err)
	}
	f("GET /pricing?_rsc=1a2b HTTP/1.1", "200", "x", reasonPrefetch)
	f("GET /_nextdoor HTTP/1.1", "200", "x", "")
	f("-", "408", "-", reasonNoRequest)
	f(`\x16\x03\x01\x02 \xa5`, "400", "-", reasonNoRequest)
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"hello",
		`203.0.113.7 - - [yesterday] "GET / HTTP/1.1" 200 1 "-" "x"`,
		`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "never closed`,
		`[17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`,
	} {
		if _, err := parse(1, text); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

// What stands before damage is read, and the error says where and what to do.
func TestReadDamage(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(strings.Repeat("x\n", 9)))
	_ = z.Close()
	whole := packed.Bytes()
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"cut in its head": {whole[:5], "read log: unexpected EOF (hint: "},
		"cut at its end":  {whole[:len(whole)-3], "read log: line 10: unexpected EOF (hint: "},
		"another sum": {
			append(whole[:len(whole)-8:len(whole)-8], 0, 0, 0, 0, 0, 0, 0, 0),
			"read log: line 10: gzip: invalid checksum (hint: ",
		},
		"no such block": {append(whole[:10:10], 0xff), "read log: line 1: flate: corrupt input"},
	} {
		lines := 0
		err := Read(bytes.NewReader(c.file), func(Line) error { return nil }, func(int, error) error { lines++; return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if strings.Contains(c.want, "line 10") && lines != 9 {
			t.Errorf("%s: %d lines were read before", name, lines)
		}
	}
}

// Equal lines are two clicks; the same file again is the same clicks; plain and compressed are the
// same.
func TestReadNamesLines(t *testing.T) {
	plain, err := os.ReadFile("testdata/shop.log")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(plain)
	_ = z.Close()
	read := func(r io.Reader) (ids, bad []string) {
		err := Read(r, func(l Line) error {
			if id := l.clickID(); !id.Time().Equal(l.Time) {
				t.Fatalf("line %d: id says %s", l.Number, id.Time())
			}
			ids = append(ids, l.clickID().String())
			return nil
		}, func(n int, why error) error {
			bad = append(bad, why.Error())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids, bad
	}
	ids, bad := read(bytes.NewReader(plain))
	again, _ := read(&packed)
	if len(ids) != 6 || len(bad) != 1 {
		t.Fatalf("%d clicks, refused %q", len(ids), bad)
	}
	distinct := map[string]bool{}
	for i := range ids {
		distinct[ids[i]] = true
		if ids[i] != again[i] {
			t.Fatalf("line %d got two names", i)
		}
	}
	if len(distinct) != 6 {
		t.Fatalf("%d distinct of 6 clicks", len(distinct))
	}
}

// A log that has grown, was cut in two, or is read behind others has the same clicks.
func TestReadNamesPieces(t *testing.T) {
	line := func(path string) string {
		return `::1 - - [17/May/2026:10:05:03 +0000] "GET ` + path + ` HTTP/1.1" 200 1 "-" "x"` + "\n"
	}
	read := func(log string) (ids []string) {
		err := Read(strings.NewReader(log), func(l Line) error { ids = append(ids, l.clickID().String()); return nil },
			func(n int, why error) error { t.Errorf("line %d: %v", n, why); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	whole := read(line("/a") + line("/b") + line("/a") + line("/c"))
	if whole[0] == whole[2] {
		t.Error("two equal lines are one click")
	}
	for _, piece := range []string{line("/b") + line("/c"), line("/c") + line("/b")} {
		got := read(piece)
		slices.Sort(got)
		want := []string{whole[1], whole[3]}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the clicks %v, want %v", piece, got, want)
		}
	}
	marked := read("\ufeff" + line("/a"))
	if len(marked) != 1 {
		t.Errorf("behind a byte order mark are %d clicks", len(marked))
	}
	// What is forgotten is of long ago.
	p := new(parser)
	for i := range 3 * rememberedLines {
		p.repeat(strconv.Itoa(i))
	}
	if n := len(p.repeats) + len(p.before); n > 2*rememberedLines || p.repeat(strconv.Itoa(3*rememberedLines-1)) != 1 {
		t.Errorf("%d texts are remembered", n)
	}
}

// A line without end does not fill the memory, and the next one is read.
func TestReadLongLine(t *testing.T) {
	log := strings.Repeat("x", 3*longestLine) + "\n" +
		`::1 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`
	good, bad := 0, 0
	err := Read(strings.NewReader(log), func(l Line) error { good += l.Number; return nil },
		func(int, error) error { bad++; return nil })
	if err != nil || good != 2 || bad != 1 {
		t.Fatalf("line number %d, %d refused, %v", good, bad, err)
	}
}

func TestEvent(t *testing.T) {
	f := func(head, target, agent, url, trigger string) {
		t.Helper()
		l, err := parse(1, head+` - - [17/May/2026:10:05:03 +0000] "GET `+target+
			` HTTP/1.1" 200 512 "https://from.example/" "`+agent+`"`)
		if err != nil {
			t.Fatal(err)
		}
		var e map[string]string
		if err := json.Unmarshal(l.Event("http://shop.example/"), &e); err != nil {
			t.Fatal(err)
		}
		if e["url"] != url || e["trigger"] != trigger || e["ip"] != "203.0.113.7" || e["user_agent"] != agent ||
			e["referrer"] != "https://from.example/" || e["event_time"] != "2026-05-17T10:05:03.000Z" || e["click_id"] == "" {
			t.Errorf("%s %s: %v", head, target, e)
		}
	}
	const address, agent = "203.0.113.7", "Mozilla/5.0"
	f(address, "/a?utm_source=x", agent, "http://shop.example/a?utm_source=x", "link")
	f(address, "/a?via=ines", agent, "http://shop.example/a?via=ines", "link")
	f(address, "/a?gclid=1", agent, "http://shop.example/a?gclid=1", "link")
	f(address, "/a?page=2", agent, "http://shop.example/a?page=2", "pageview")
	f(address, "/a", "-", "http://shop.example/a", "pageview")
	f("pens.example:443 "+address, "/a", agent, "https://pens.example/a", "pageview")
	f("pens.example:80 "+address, "/a", agent, "http://pens.example/a", "pageview")
	f("pens.example "+address, "/a", agent, "http://pens.example/a", "pageview")
	f(address, "https://other.example/a", agent, "https://other.example/a", "pageview")
}

// Logs as the makers' documentation shows them, each with one visit and one line that cannot be
// read.
func TestFormats(t *testing.T) {
	const agent = "Mozilla/5.0 (X11; Linux x86_64)"
	want := Line{Address: "203.0.113.7", Method: "GET", Status: "200", Referrer: "https://from.example/", Agent: agent}
	for name, c := range map[string]struct {
		log, url string
		change   func(*Line)
	}{
		"nginx, JSON": {`{"time_iso8601":"2026-05-17T10:05:03+00:00","remote_addr":"203.0.113.7","request_method":"GET",` +
			`"request_uri":"/a?via=ann","status":"200","http_referer":"https://from.example/","http_user_agent":"` + agent +
			`","host":"shop.example"}` + "\n{\"time\":\"never\"}", "https://shop.example/a?via=ann", nil},
		"nginx, JSON with a request": {`{"msec":"1779012303.000","remote_addr":"10.0.0.1","http_x_forwarded_for":"203.0.113.7, 10.0.0.2",` +
			`"request":"GET /a?via=ann HTTP/1.1","status":200,"http_referer":"https://from.example/","http_user_agent":"` +
			agent +
			`"}` + "\n{", "https://site.example/a?via=ann", nil},
		"caddy": {`{"level":"info","ts":1779012303.5,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.1",` +
			`"client_ip":"203.0.113.7","proto":"HTTP/2.0","method":"GET","host":"shop.example","uri":"/a?via=ann","headers":{"User-Agent":` +
			`["` + agent + `"],"Referer":["https://from.example/"]}},"status":200,"resp_headers":{"Server":["Caddy"],"Status":["500"]}}` +
			"\n{}", "https://shop.example/a?via=ann", nil},
		"envoy": {`{"start_time":"2026-05-17T10:05:03.186Z","method":"GET","path":"/a?via=ann","response_code":200,` +
			`"user_agent":"` + agent + `","x_forwarded_for":"203.0.113.7","authority":"shop.example","referer":"https://from.example/"}` +
			"\n{\"start_time\":\"2026\"", "https://shop.example/a?via=ann", nil},
		"cloudfront, JSON": {`{"date":"2026-05-17","time":"10:05:03","c-ip":"203.0.113.7","cs-method":"GET","cs(Host)":"d1.cloudfront.net",` +
			`"x-host-header":"shop.example","cs-uri-stem":"/a","cs-uri-query":"via=ann","sc-status":"200","cs(Referer)":` +
			`"https://from.example/","cs(User-Agent)":"` + agent + `"}` + "\n{\"date\":\"2026-05-17\"}",
			"https://shop.example/a?via=ann", nil},
		"cloudflare": {`{"EdgeStartTimestamp":1779012303000000000,"ClientIP":"203.0.113.7","ClientRequestMethod":"GET",` +
			`"ClientRequestHost":"shop.example","ClientRequestURI":"/a?via=ann","EdgeResponseStatus":200,` +
			`"ClientRequestReferer":"https://from.example/","ClientRequestUserAgent":"` + agent + `"}` +
			"\n{\"EdgeStartTimestamp\":1}",
			"https://shop.example/a?via=ann", nil},
		"google": {`{"timestamp":"2026-05-17T10:05:03.1Z","httpRequest":{"requestMethod":"GET","requestUrl":"https://shop.example/a?via=ann",` +
			`"status":200,"userAgent":"` + agent + `","remoteIp":"203.0.113.7","referer":"https://from.example/"}}` + "\n{}",
			"https://shop.example/a?via=ann", nil},
		"azure": {`{"time":"2026-05-17T10:05:03Z","properties":{"httpMethod":"GET","requestUri":"https://shop.example:443/a?via=ann",` +
			`"httpStatusCode":"200","userAgent":"` + agent + `","clientIp":"203.0.113.7","referer":"https://from.example/"}}` +
			"\n{}",
			"https://shop.example/a?via=ann", nil},
		"cloudfront": {"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) " +
			"cs-uri-stem sc-status " +
			"cs(Referer) cs(User-Agent) cs-uri-query x-host-header cs-protocol\n" +
			"2026-05-17\t10:05:03\tFRA2\t512\t203.0.113.7\tGET\td1.cloudfront.net\t/a\t200\thttps://from.example/\t" +
			strings.ReplaceAll(agent, " ", "%20") + "\tvia=ann\tshop.example\thttps\n2026-05-17\t10:05:03\n",
			"https://shop.example/a?via=ann", nil},
		"iis": {"#Software: IIS\n#Fields: date time cs-method cs-uri-stem cs-uri-query c-ip cs(User-Agent) " +
			"cs(Referer) sc-status\n" +
			"2026-05-17 10:05:03 GET /a via=ann 203.0.113.7 " + strings.ReplaceAll(agent, " ", "+") +
			" https://from.example/ 200\n2026-05-17 10:05:03 GET", "https://site.example/a?via=ann", nil},
		"load balancer": {`https 2026-05-17T10:05:03.186641Z app/shop/50dc 203.0.113.7:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 ` +
			`"GET https://shop.example:443/a?via=ann HTTP/1.1" "` + agent + `" ECDHE-RSA TLSv1.2 arn` + "\nhttps 2026",
			"https://shop.example/a?via=ann", func(l *Line) { l.Referrer = "" }},
		"common": {`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET /a?via=ann HTTP/1.1" 200 512` + "\nhello",
			"https://site.example/a?via=ann", func(l *Line) { l.Referrer, l.Agent, l.NoAgents = "", "", true }},
	} {
		t.Run(name, func(t *testing.T) {
			var good []Line
			var bad []string
			err := Read(strings.NewReader(c.log), func(l Line) error { good = append(good, l); return nil },
				func(n int, why error) error { bad = append(bad, why.Error()); return nil })
			if err != nil || len(good) != 1 || len(bad) != 1 {
				t.Fatalf("%d lines, refused %q, %v; want one of each", len(good), bad, err)
			}
			got, want := good[0], want
			if c.change != nil {
				c.change(&want)
			}
			if url := got.URL("https://site.example"); url != c.url || got.NoVisit() != "" ||
				got.Time.Truncate(time.Second) != time.Date(2026, 5, 17, 10, 5, 3, 0, time.UTC) {
				t.Errorf("%s at %s, no visit: %q", url, got.Time, got.NoVisit())
			}
			if agent := bytes.Contains(got.Event("x"), []byte("user_agent")); agent == want.NoAgents {
				t.Errorf("an agent is sent: %v", agent)
			}
			want.Number, want.Text, want.Time, want.Site, want.Target = got.Number, got.Text, got.Time, got.Site, got.Target
			if got != want {
				t.Errorf("%+v", got)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"ts":1,"request":{"headers":{"A":[]}}}`)
	f.Add("http 2026-05-17T10:05:03Z a b c 0 0 0 \"GET")
	f.Add(`::1 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range []*parser{new(parser), {columns: []string{"date", "time", "c-ip", "cs-uri-stem"}}} {
			if text == "" {
				continue
			}
			if l, err := p.parse(1, text); err == nil {
				l.Event("http://example.com")
			}
		}
	})
}
