package clicks

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"regexp"
	"strings"
	"testing"
)

// A page pays for the script with its visitors' time.
func TestScriptIsSmall(t *testing.T) {
	if n := len(scripts["/t.js"].gzipped); n > 2048 {
		t.Errorf("the compressed script has %d bytes, want at most 2048", n)
	}
}

// Evaluating text as code, or setting markup, is what strict content security policies refuse.
func TestScriptNeedsNoLooserPolicy(t *testing.T) {
	for _, word := range []string{"eval(", "Function(", "innerHTML", "document.write", "createElement", ".style",
		"setTimeout(\""} {
		if bytes.Contains(scripts["/t.js"].plain, []byte(word)) {
			t.Errorf("the script contains %s", word)
		}
	}
}

// An address with a hash is a promise: an earlier release stays in the folder under the hash that
// its pages name.
func TestScriptVersions(t *testing.T) {
	names, err := scriptFiles.ReadDir("script")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !name.IsDir() && scripts["/"+name.Name()] == nil {
			t.Errorf("script/%s is not served under its name: the hash is not that of its content", name.Name())
		}
	}
}

func TestScriptIsServed(t *testing.T) {
	e := newEdge(t, nil)
	plain := e.do("GET", "/t.js", "", "Accept-Encoding: identity")
	e.want(plain, 200, "")
	for header, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "Access-Control-Allow-Origin": "*", "Vary": "Accept-Encoding",
		"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff", "Content-Encoding": "",
		"Cross-Origin-Resource-Policy": "cross-origin",
	} {
		if got := plain.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}

	zipped := e.do("GET", "/t.js", "", "Accept-Encoding: gzip, deflate, br, zstd")
	e.want(zipped, 200, "")
	if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Errorf("compressed: %v", zipped.Header)
	}
	r, err := gzip.NewReader(strings.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if unzipped, err := io.ReadAll(r); err != nil || string(unzipped) != plain.body {
		t.Errorf("decompressed: %v, %d bytes, want %d", err, len(unzipped), len(plain.body))
	}

	for _, a := range []answer{plain, zipped} {
		tag, encoding := a.Header.Get("ETag"), "Accept-Encoding: "+cmp.Or(a.Header.Get("Content-Encoding"), "identity")
		if strings.HasPrefix(tag, "W/") {
			t.Errorf("the tag %s is weak", tag)
		}
		for _, condition := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			if again := e.do("GET", "/t.js", "", encoding, "If-None-Match: "+condition); again.StatusCode != 304 ||
				again.body != "" {
				t.Errorf("%s: status %d", condition, again.StatusCode)
			}
		}
		if changed := e.do("GET", "/t.js", "", encoding, `If-None-Match: "other"`); changed.StatusCode != 200 {
			t.Errorf("another tag: status %d", changed.StatusCode)
		}
	}
	if a := e.do("HEAD", "/t.js", ""); a.StatusCode != 200 || a.body != "" {
		t.Errorf("HEAD: %d", a.StatusCode)
	}
	e.want(e.do("GET", "/t.0123456789ab.js", ""), 404, "not_found")
	e.want(e.do("POST", "/t.js", "{}"), 405, "method_not_allowed")
}

// Each address of another programme's script serves this one, and any variant of Dub's and PiMMs'.
func TestStandIns(t *testing.T) {
	e := newEdge(t, nil)
	for _, path := range []string{"/affiliate-tracker.js", "/rw.js", "/fpr.js", "/tolt.js", "/analytics/script.js",
		"/js/pixel.min.js", "/endorsely.js", "/promotekit.js",
		"/analytics/script.detection.js", "/analytics/script.site-visit.outbound-domains.js"} {
		a := e.do("GET", path, "", "Accept-Encoding: identity")
		e.want(a, 200, "")
		if !strings.HasSuffix(a.body, string(scripts["/t.js"].plain)) || len(a.body) == len(scripts["/t.js"].plain) {
			t.Errorf("%s has %d bytes, want /t.js behind what translates for it", path, len(a.body))
		}
	}
	for _, path := range []string{"/analytics/scripts.js", "/analytics/script", "/programmes/dub.js"} {
		e.want(e.do("GET", path, ""), 404, "not_found")
	}
}

func TestScriptElement(t *testing.T) {
	element := ScriptElement("https://clicks.example.com/", `pk_"1`)
	parts := regexp.MustCompile(`^<script defer src="https://clicks\.example\.com(/t\.[0-9a-f]{12}\.js)" integrity="sha384-([^"]+)" ` +
		`crossorigin="anonymous" data-key="pk_&#34;1"></script>$`).FindStringSubmatch(element)
	if parts == nil {
		t.Fatal(element)
	}
	e := newEdge(t, nil)
	a := e.do("GET", parts[1], "")
	e.want(a, 200, "")
	if sum := sha512.Sum384([]byte(a.body)); base64.StdEncoding.EncodeToString(sum[:]) != parts[2] {
		t.Error("the hash is not that of what the address serves")
	}
	if got := a.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control: %s", got)
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"gzip;q=0.001": true, "identity": false, "*": true, "*;q=0": false, "gzip;q=0, *": false,
		"x-gzipped": false, "br,gzip": true,
	} {
		if got := acceptsGzip([]byte(header)); got != want {
			t.Errorf("Accept-Encoding %q: %v, want %v", header, got, want)
		}
	}
}
