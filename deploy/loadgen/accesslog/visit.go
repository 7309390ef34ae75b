package accesslog

import (
	_ "embed"
	"path"
	"strings"
)

//go:embed assets.txt
var assetsText string

// assets are the endings of files that are no pages, in lower case and with their dots.
var assets = func() map[string]bool {
	set := make(map[string]bool)
	for line := range strings.Lines(assetsText) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			for _, ending := range strings.Fields(line) {
				set["."+ending] = true
			}
		}
	}
	return set
}()

// The reasons for which a request is no page visit.
const (
	ReasonNoRequest  = "no HTTP request"             // a refused connection, another protocol's bytes
	ReasonOwn        = "the server's own connection" // Apache wakes its processes by requests to itself
	ReasonMethod     = "method other than GET"       // HEAD, POST, OPTIONS …
	ReasonNoPath     = "target is not a path"        // *, or a proxy's CONNECT
	ReasonRedirect   = "redirect"                    // the browser asks for the page next
	ReasonFailed     = "status 4xx or 5xx"           // the visitor saw no page
	ReasonNoContent  = "no page in the answer"       // 204, 206 and whatever is not a number
	ReasonAsset      = "file of a page, or download" // style sheets, scripts, images …
	ReasonPrefetch   = "asked for in advance"        // by the browser: the person may never see the page
	ReasonBackground = "metadata of the site"        // robots.txt, .well-known: no person asks for them
)

// NoVisit returns why a line is not a person's or a machine's look at a page, "" if it is. Machines
// are not sorted out here: the processor flags them by their agents.
func (l Line) NoVisit() string {
	switch {
	case l.Method == "":
		return ReasonNoRequest
	case strings.Contains(l.Agent, "internal dummy connection"):
		return ReasonOwn
	case l.Method != "GET":
		return ReasonMethod
	}
	switch {
	case l.Status == "200", l.Status == "203", l.Status == "304": // 304: the browser shows the page that it has kept
	case len(l.Status) == 3 && l.Status[0] == '3':
		return ReasonRedirect
	case len(l.Status) == 3 && (l.Status[0] == '4' || l.Status[0] == '5'):
		return ReasonFailed
	default:
		return ReasonNoContent
	}
	target, ok := l.path()
	if !ok {
		return ReasonNoPath
	}
	switch {
	case isPrefetch(l.Purpose):
		return ReasonPrefetch
	case isBackground(target):
		return ReasonBackground
	case strings.Contains(l.Target, "_rsc="): // Next.js asks for the parts of pages that are linked
		return ReasonPrefetch
	case assets[strings.ToLower(path.Ext(target))]:
		return ReasonAsset
	}
	return ""
}

// isPrefetch reports whether a header says that the page is not shown yet: Sec-Purpose (Fetch
// standard), or the Purpose and X-Moz of older browsers.
func isPrefetch(purpose string) bool {
	return strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "prerender") ||
		strings.Contains(purpose, "preview")
}

// isBackground reports whether programs ask for a path, and no person.
func isBackground(target string) bool {
	switch target {
	case "/robots.txt", "/ads.txt", "/app-ads.txt", "/apple-app-site-association", "/xmlrpc.php", "/wp-cron.php",
		"/wp-admin/admin-ajax.php":
		return true
	}
	for _, folder := range []string{"/.well-known/", "/cdn-cgi/", "/_next/", "/_nuxt/", "/_vercel/", "/wp-json/"} {
		if strings.HasPrefix(target, folder) {
			return true
		}
	}
	return false
}

// path returns the path of the target without query and fragment. Requests to a proxy name the
// whole address.
func (l Line) path() (string, bool) {
	target := l.Target
	if at := strings.Index(target, "://"); at > 0 && strings.HasPrefix(target, "http") {
		rest := target[at+len("://"):]
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return "/", rest != ""
		}
		target = rest[slash:]
	}
	if end := strings.IndexAny(target, "?#"); end >= 0 {
		target = target[:end]
	}
	return target, strings.HasPrefix(target, "/")
}
