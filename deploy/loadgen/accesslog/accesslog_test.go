package accesslog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	f := func(text, address, at, method, target, referrer, agent string) {
		t.Helper()
		l, err := Parse(1, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, _ := time.Parse(time.RFC3339, at)
		if l.Address != address || !l.Time.Equal(want) || l.Method != method || l.Target != target || l.Referrer != referrer || l.Agent != agent {
			t.Fatalf("%s:\n%+v", text, l)
		}
	}
	f(`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 512 "https://from.example/" "Mozilla/5.0 (X11; Linux x86_64)"`,
		"203.0.113.7", "2026-05-17T10:05:03Z", "GET", "/a?b=c", "https://from.example/", "Mozilla/5.0 (X11; Linux x86_64)")
	f(`2001:db8::1 - ada [17/May/2026:12:05:03 +0200] "HEAD / HTTP/2.0" 304 - "-" "-"`,
		"2001:db8::1", "2026-05-17T10:05:03Z", "HEAD", "/", "", "")
	f(`host.example - - [01/Jan/2026:00:00:00 -0500] "GET /with space HTTP/1.0" 404 1 "-" "a \"quoted\" agent \\ [x]"`,
		"host.example", "2026-01-01T05:00:00Z", "GET", "/with space", "", `a "quoted" agent \ [x]`)
	f(`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET /old" 200 512 "-" "curl/8.5.0" "extra" 0.004`,
		"203.0.113.7", "2026-05-17T10:05:03Z", "GET", "/old", "", "curl/8.5.0")
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"hello",
		`203.0.113.7 - - [yesterday] "GET / HTTP/1.1" 200 1 "-" "x"`,
		`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "-" 408 0 "-" "-"`,
		`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1`,
		`203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "never closed`,
		`[17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`,
	} {
		if _, err := Parse(1, text); err == nil {
			t.Errorf("%s was accepted", text)
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
			if id := l.ClickID(); !id.Time().Equal(l.Time) {
				t.Fatalf("line %d: id says %s", l.Number, id.Time())
			}
			ids = append(ids, l.ClickID().String())
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

// A line without end does not fill the memory, and the next one is read.
func TestReadLongLine(t *testing.T) {
	log := strings.Repeat("x", 3*LongestLine) + "\n" + `::1 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`
	good, bad := 0, 0
	err := Read(strings.NewReader(log), func(l Line) error { good += l.Number; return nil }, func(int, error) error { bad++; return nil })
	if err != nil || good != 2 || bad != 1 {
		t.Fatalf("line number %d, %d refused, %v", good, bad, err)
	}
}

func TestEvent(t *testing.T) {
	l, err := Parse(1, `203.0.113.7 - - [17/May/2026:10:05:03 +0000] "GET /a?utm_source=x HTTP/1.1" 200 512 "https://from.example/" "Mozilla/5.0"`)
	if err != nil {
		t.Fatal(err)
	}
	var e map[string]string
	if err := json.Unmarshal(l.Event("http://shop.example/"), &e); err != nil {
		t.Fatal(err)
	}
	if e["url"] != "http://shop.example/a?utm_source=x" || e["ip"] != "203.0.113.7" || e["user_agent"] != "Mozilla/5.0" ||
		e["referrer"] != "https://from.example/" || e["event_time"] != "2026-05-17T10:05:03.000Z" || e["click_id"] == "" {
		t.Fatalf("%v", e)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`::1 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`)
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := Parse(1, text); err == nil {
			l.Event("http://example.com")
		}
	})
}
