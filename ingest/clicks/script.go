package clicks

import (
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"path"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

//go:generate esbuild script/t.ts --outfile=script/t.js --target=es2017 --charset=ascii --minify --log-level=warning

// scriptFiles is t.js, the tracking script as it is built from t.ts, and each t.HASH.js of an
// earlier release: a page that names one with its hash gets the same bytes for as long as the file
// stays here.
//
//go:embed script/*.js script/programmes/*.js
var scriptFiles embed.FS

// standIns are the addresses of other programmes' scripts, so that a site moves by another host in
// the address: under each lies t.js behind a file that translates the programme's attributes,
// cookies and globals.
var standIns = map[string]string{
	"/analytics/script.js":  "dub.js", // Dub and PiMMs
	"/affiliate-tracker.js": "pushlap.js",
	"/rw.js":                "rewardful.js",
	"/fpr.js":               "firstpromoter.js",
	"/tolt.js":              "tolt.js",
	"/js/pixel.min.js":      "referral.js", // Affonso
	"/endorsely.js":         "referral.js",
	"/promotekit.js":        "referral.js",
}

// trackingScript is one version of the script, ready to be served.
type trackingScript struct {
	plain, gzipped       []byte
	plainTag, gzippedTag string // strong entity tags: each representation has its own (RFC 9110 §8.8.3)
	hash                 string // names the version in its address
	integrity            string // for a script element's attribute
	cacheControl         string
}

// scripts is every address of a script: /t.js is the current version and may change, as may
// standIns; /t.HASH.js never does.
var scripts = loadScripts()

// scriptAt returns the script at a path, nil if there is none. Dub and PiMMs name variants of their
// scripts, also several at once, as /analytics/script.site-visit.outbound-domains.js.
func scriptAt(path string) *trackingScript {
	if strings.HasPrefix(path, "/analytics/script.") && strings.HasSuffix(path, ".js") {
		path = "/analytics/script.js"
	}
	return scripts[path]
}

func loadScripts() map[string]*trackingScript {
	found := make(map[string]*trackingScript)
	names, err := scriptFiles.ReadDir("script")
	if err != nil {
		panic(err) // embedded
	}
	for _, name := range names {
		if name.IsDir() {
			continue
		}
		pinned := newTrackingScript(scriptFile(name.Name()), "public, max-age=31536000, immutable")
		found["/t."+pinned.hash+".js"] = pinned
	}
	const hour = "public, max-age=3600"
	current := scriptFile("t.js")
	found["/t.js"] = newTrackingScript(current, hour)
	queue := scriptFile("programmes/queue.js")
	for address, name := range standIns {
		found[address] = newTrackingScript(slices.Concat(queue, scriptFile("programmes/"+name), current), hour)
	}
	return found
}

func scriptFile(name string) []byte {
	data, err := scriptFiles.ReadFile(path.Join("script", name))
	if err != nil {
		panic(err) // embedded
	}
	return data
}

func newTrackingScript(data []byte, cacheControl string) *trackingScript {
	sum, integrity := sha256.Sum256(data), sha512.Sum384(data)
	hash := hex.EncodeToString(sum[:6])
	return &trackingScript{
		plain: data, gzipped: fasthttp.AppendGzipBytesLevel(nil, data, fasthttp.CompressBestCompression),
		plainTag: `"` + hash + `"`, gzippedTag: `"` + hash + `-gzip"`, hash: hash,
		integrity: "sha384-" + base64.StdEncoding.EncodeToString(integrity[:]), cacheControl: cacheControl,
	}
}

// ScriptElement returns the HTML that loads the current version of the tracking script from the
// edge at base, such as https://clicks.example.com, and no other: its address never changes, and
// the browser checks its hash (W3C Subresource Integrity). key is the workspace's publishable key;
// empty: the element names none.
func ScriptElement(base, key string) string {
	if key != "" {
		key = fmt.Sprintf(` data-key="%s"`, html.EscapeString(key))
	}
	s := scripts["/t.js"]
	return fmt.Sprintf(`<script defer src="%s/t.%s.js" integrity="%s" crossorigin="anonymous"%s></script>`,
		html.EscapeString(strings.TrimSuffix(base, "/")), s.hash, s.integrity, key)
}

// script answers GET of an address that scriptAt knows.
func (s *Server) script(ctx *fasthttp.RequestCtx) { scriptAt(b2s(ctx.URI().PathOriginal())).serve(ctx) }

// serve answers GET of the script. A browser asks again whether /t.js changed after an hour.
func (s *trackingScript) serve(ctx *fasthttp.RequestCtx) {
	cors(ctx)
	body, tag := s.plain, s.plainTag
	h := &ctx.Response.Header
	if acceptsGzip(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)) {
		body, tag = s.gzipped, s.gzippedTag
	}
	h.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	h.Set(fasthttp.HeaderCacheControl, s.cacheControl)
	h.Set(fasthttp.HeaderETag, tag)
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if matchesTag(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch), tag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	if tag == s.gzippedTag {
		h.Set(fasthttp.HeaderContentEncoding, "gzip")
	}
	ctx.SetContentType("text/javascript; charset=utf-8") // RFC 9239
	ctx.Response.SetBodyRaw(body)
}

// acceptsGzip reports whether an Accept-Encoding header names gzip or *, and not with the weight 0
// (RFC 9110 §12.5.3).
func acceptsGzip(header []byte) bool {
	accepted := false
	for part := range strings.SplitSeq(strings.ToLower(b2s(header)), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		refused := strings.Trim(strings.TrimPrefix(strings.TrimSpace(weight), "q="), "0.") == "" && strings.Contains(weight,
			"0")
		switch strings.TrimSpace(coding) {
		case "gzip":
			return !refused
		case "*":
			accepted = !refused
		}
	}
	return accepted
}

// matchesTag reports whether an If-None-Match header lists the tag; the comparison is weak (RFC
// 9110 §13.1.2).
func matchesTag(header []byte, tag string) bool {
	for listed := range strings.SplitSeq(b2s(header), ",") {
		listed = strings.TrimSpace(listed)
		if listed == "*" || strings.TrimPrefix(listed, "W/") == tag {
			return true
		}
	}
	return false
}
