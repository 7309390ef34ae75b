package accesslog

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parser reads the lines of one log. Each line shows its format, but for those of the W3C extended
// format, whose columns a line before them names.
type parser struct {
	columns []string // of the W3C extended format; nil before its header
	// How often a text has been read: equal lines have equal times, so that they lie near each
	// other, and those of long ago are forgotten.
	repeats, before map[textHash]int
}

// textHash is of a line's text.
type textHash [16]byte

// rememberedLines is after how many lines, at the latest, a text is forgotten, twice over.
const rememberedLines = 1 << 17

// repeat returns how often the text was read before.
func (p *parser) repeat(text string) int {
	sum := sha256.Sum256([]byte(text))
	hash := textHash(sum[:16])
	if p.repeats == nil || len(p.repeats) == rememberedLines {
		p.repeats, p.before = make(map[textHash]int), p.repeats
	}
	n, known := p.repeats[hash]
	if !known {
		n = p.before[hash]
	}
	p.repeats[hash] = n + 1
	return n
}

// errHeader says that a line describes the log, and is no request.
var errHeader = errors.New("header of the log")

func (p *parser) parse(number int, text string) (Line, error) {
	l := Line{Number: number, Text: text}
	switch first, rest, _ := strings.Cut(text, " "); {
	case text[0] == '{':
		return l, l.readJSON(text)
	case text[0] == '#':
		if names, found := strings.CutPrefix(text, "#Fields:"); found {
			p.columns = strings.Fields(names)
		}
		return l, errHeader
	case p.columns != nil:
		return l, l.readW3C(p.columns, text)
	case isScheme(first):
		return l, l.readBalancer(rest)
	}
	return parse(number, text)
}

// readJSON reads an object of any depth whose names are among those that nginx, Caddy, Traefik,
// Envoy, the log services of AWS, Google, Azure and Cloudflare, and their users give. Case, "-" and
// "_" in a name do not matter; of two equal names the outer one counts.
func (l *Line) readJSON(text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	values := make(map[string]string)
	flatten(values, object)
	get := func(names ...string) string {
		for _, name := range names {
			if v := present(strings.TrimSpace(values[name])); v != "" {
				return v
			}
		}
		return ""
	}
	at := get("timeiso8601", "@timestamp", "timestamp", "startutc", "starttime", "edgestarttimestamp", "time", "ts",
		"timelocal", "msec")
	if date := get("date"); date != "" && len(at) == len(time.TimeOnly) { // CloudFront
		at = date + "T" + at + "Z"
	}
	var err error
	if l.Time, err = readTime(at); err != nil {
		return err
	}
	l.Method = get("requestmethod", "method", "httpmethod", "clientrequestmethod", "csmethod")
	l.Target = get("requesturi", "uri", "requesturl", "clientrequesturi", "requestpath", "path", "csuristem")
	if query := get("csuriquery"); query != "" {
		l.Target += "?" + query
	}
	if request := get("request"); l.Target == "" {
		l.Method, l.Target = splitRequest(request)
	}
	l.Status = get("status", "downstreamstatus", "statuscode", "httpstatuscode", "responsecode", "edgeresponsestatus",
		"scstatus")
	l.Referrer = get("httpreferer", "httpreferrer", "referer", "referrer", "requestreferer", "clientrequestreferer",
		"cs(referer)")
	agents := []string{"httpuseragent", "useragent", "agent", "requestuseragent", "clientrequestuseragent",
		"cs(useragent)"}
	l.Agent = get(agents...)
	l.NoAgents = !slices.ContainsFunc(agents, func(name string) bool { _, has := values[name]; return has })
	l.Site = siteName(get("xhostheader", "host", "httphost", "requesthost", "clientrequesthost", "authority", "cs(host)",
		"servername"))
	l.Address = ipAddress(get("clientip", "httpxforwardedfor", "xforwardedfor", "remoteaddr", "remoteip", "clienthost",
		"cip"))
	l.Purpose = get("secpurpose", "httpsecpurpose", "purpose", "httppurpose", "xmoz", "httpxmoz")
	return nil
}

// foldName takes out of a name how its words are joined.
var foldName = strings.NewReplacer("_", "", "-", "")

// flatten collects the texts and numbers of an object by their names, outer ones first.
func flatten(values map[string]string, object map[string]any) {
	var inner []map[string]any
	for name, value := range object {
		name = foldName.Replace(strings.ToLower(name))
		if list, ok := value.([]any); ok && len(list) > 0 { // a header of Caddy's
			value = list[0]
		}
		switch v := value.(type) {
		case string:
			if _, known := values[name]; !known {
				values[name] = v
			}
		case json.Number:
			if _, known := values[name]; !known {
				values[name] = v.String()
			}
		case map[string]any:
			if name != "respheaders" { // of the answer
				inner = append(inner, v)
			}
		}
	}
	for _, object := range inner {
		flatten(values, object)
	}
}

// readTime reads RFC 3339, the time of the combined format, or a number of seconds, milliseconds,
// microseconds or nanoseconds since 1970.
func readTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 1e8 && seconds < 1e20 {
		for _, unit := range []float64{1e3, 1e6, 1e9} { // a number of seconds is below 10¹¹ until the year 5138
			if seconds >= 1e11 && seconds < 1e11*unit {
				return time.UnixMilli(int64(seconds / unit * 1000)).UTC(), nil
			}
		}
		if seconds < 1e11 {
			return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "02/Jan/2006:15:04:05 -0700", "2006-01-02T15:04:05Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("read time: %q (hint: RFC 3339, 02/Jan/2006:15:04:05 -0700, or seconds since 1970)",
		text)
}

// readW3C reads a line of the W3C extended format, as CloudFront (with tabs) and IIS (with spaces)
// have it. Both escape the spaces within a column.
func (l *Line) readW3C(columns []string, text string) error {
	separator := " "
	if strings.Contains(text, "\t") {
		separator = "\t"
	}
	values := strings.Split(text, separator)
	if len(values) != len(columns) {
		return fmt.Errorf("%d columns (hint: #Fields names %d)", len(values), len(columns))
	}
	get := func(names ...string) string {
		for _, name := range names {
			for i, column := range columns {
				if v := present(values[i]); v != "" && strings.EqualFold(column, name) {
					return v
				}
			}
		}
		return ""
	}
	at, err := time.Parse(time.DateOnly+" "+time.TimeOnly, get("date")+" "+get("time"))
	if err != nil {
		return fmt.Errorf("read time: %w", err)
	}
	l.Time = at
	l.Method, l.Status = get("cs-method"), get("sc-status")
	l.Target = get("cs-uri-stem")
	if query := get("cs-uri-query"); query != "" {
		l.Target += "?" + query
	}
	l.Site = siteName(get("x-host-header", "cs(host)", "cs-host"))
	if scheme := get("cs-protocol"); l.Site != "" && isScheme(scheme) {
		l.Target = scheme + "://" + l.Site + l.Target
	}
	unescape := func(v string) string {
		if separator == " " {
			v = strings.ReplaceAll(v, "+", " ")
		}
		if plain, err := url.PathUnescape(v); err == nil {
			return plain
		}
		return v
	}
	l.Referrer, l.Agent = unescape(get("cs(referer)")), unescape(get("cs(user-agent)"))
	l.Address = ipAddress(get("c-ip"))
	return nil
}

// readBalancer reads what follows the protocol in a line of an Application Load Balancer of AWS:
//
//	2026-05-17T10:05:03Z app/shop/50dc 203.0.113.7:2817 10.0.0.1:80 0 0 0 200 200 34 366 "GET … HTTP/1.1" "Mozilla …" …
//
// It does not log referrers.
func (l *Line) readBalancer(text string) error {
	head, rest, _ := strings.Cut(text, `"`)
	fields := strings.Fields(head)
	if len(fields) < 8 {
		return fmt.Errorf("%d fields before the request (hint: is this an Application Load Balancer's log?)", len(fields))
	}
	at, err := readTime(fields[0])
	if err != nil {
		return err
	}
	request, rest, err := quoted(`"` + rest)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	agent, _, err := quoted(rest)
	if err != nil {
		return fmt.Errorf("read agent: %w", err)
	}
	l.Time, l.Address, l.Status, l.Agent = at, ipAddress(fields[2]), fields[7], present(agent)
	l.Method, l.Target = splitRequest(request)
	return nil
}

func isScheme(text string) bool {
	switch text {
	case "http", "https", "h2", "ws", "wss", "grpcs":
		return true
	}
	return false
}
