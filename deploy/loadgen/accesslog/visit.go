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
	reasonNoRequest  = "no HTTP request"             // a refused connection, another protocol's bytes
	reasonOwn        = "the server's own connection" // Apache wakes its processes by requests to itself
	reasonMethod     = "method other than GET"       // HEAD, POST, OPTIONS …
	reasonNoPath     = "target is not a path"        // *, or a proxy's CONNECT
	reasonRedirect   = "redirect"                    // the browser asks for the page next
	reasonFailed     = "status 4xx or 5xx"           // the visitor saw no page
	reasonNoContent  = "no page in the answer"       // 204, 206 and whatever is not a number
	reasonAsset      = "file of a page, or download" // style sheets, scripts, images …
	reasonPrefetch   = "asked for in advance"        // by the browser: the person may never see the page
	reasonBackground = "metadata of the site"        // robots.txt, .well-known: no person asks for them
)

// NoVisit returns why a line is not a person's or a machine's look at a page, "" if it is. Machines
// are not sorted out here: the processor flags them by their agents.
func (l Line) NoVisit() string {
	switch {
	case l.Method == "":
		return reasonNoRequest
	case strings.Contains(l.Agent, "internal dummy connection"):
		return reasonOwn
	case l.Method != "GET":
		return reasonMethod
	}
	switch {
	case l.Status == "200", l.Status == "203", l.Status == "304": // 304: the browser shows the page that it has kept
	case len(l.Status) == 3 && l.Status[0] == '3':
		return reasonRedirect
	case len(l.Status) == 3 && (l.Status[0] == '4' || l.Status[0] == '5'):
		return reasonFailed
	default:
		return reasonNoContent
	}
	target, ok := l.path()
	if !ok {
		return reasonNoPath
	}
	switch {
	case isPrefetch(l.Purpose):
		return reasonPrefetch
	case isBackground(target):
		return reasonBackground
	case strings.Contains(l.Target, "_rsc="): // Next.js asks for the parts of pages that are linked
		return reasonPrefetch
	case assets[strings.ToLower(path.Ext(target))]:
		return reasonAsset
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
