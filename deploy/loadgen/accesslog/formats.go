package accesslog

import (
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
}

// errHeader says that a line tells how the log is made, and is no request.
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
	return Parse(number, text)
}

// readJSON reads an object of any depth whose names are among those that nginx, Caddy, Traefik and
// their users give. "-" and "_" in a name are the same; of two equal names the outer one counts.
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
	at, err := readTime(get("time-iso8601", "@timestamp", "timestamp", "startutc", "time", "ts", "time-local", "msec"))
	if err != nil {
		return err
	}
	l.Time = at
	l.Method, l.Target = get("request-method", "method", "requestmethod"), get("request-uri", "uri", "requestpath", "path")
	if request := get("request"); l.Target == "" {
		l.Method, l.Target = splitRequest(request)
	}
	l.Status = get("status", "downstreamstatus", "status-code")
	l.Referrer = get("http-referer", "http-referrer", "referer", "referrer", "request-referer")
	agents := []string{"http-user-agent", "user-agent", "useragent", "agent", "request-user-agent"}
	l.Agent = get(agents...)
	l.NoAgents = !slices.ContainsFunc(agents, func(name string) bool { _, has := values[name]; return has })
	l.Site = siteName(get("host", "http-host", "requesthost", "server-name"))
	l.Address = ipAddress(get("client-ip", "http-x-forwarded-for", "x-forwarded-for", "remote-addr", "remote-ip",
		"clienthost"))
	return nil
}

// flatten collects the texts and numbers of an object by their names, outer ones first.
func flatten(values map[string]string, object map[string]any) {
	var inner []map[string]any
	for name, value := range object {
		name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
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
			if name != "resp-headers" { // of the answer
				inner = append(inner, v)
			}
		}
	}
	for _, object := range inner {
		flatten(values, object)
	}
}

// readTime reads RFC 3339, the time of the combined format, or a number of seconds or milliseconds
// since 1970.
func readTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 1e8 && seconds < 1e14 {
		if seconds >= 1e11 {
			return time.UnixMilli(int64(seconds)).UTC(), nil
		}
		return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
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
	for scheme, port := range map[string]string{"https://": ":443/", "http://": ":80/"} {
		if strings.HasPrefix(l.Target, scheme) {
			l.Target = strings.Replace(l.Target, port, "/", 1)
		}
	}
	return nil
}

func isScheme(text string) bool { return text == "http" || text == "https" || text == "h2" }
