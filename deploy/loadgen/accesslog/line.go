// Package accesslog reads web servers' access logs, separates page visits from other requests, and
// names each line as a click. Each line may be of another format:
//
//	203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 512 "https://from.example/" "Mozilla/5.0 …"
//
// is the combined format; the common one ends before the referrer. The name of the site may stand
// first (Apache's vhost_combined), and the address may be a list of addresses as X-Forwarded-For
// has it:
//
//	shop.example:443 203.0.113.7, 10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" …
//
// The others are JSON (nginx, Caddy, Traefik, cloud services), the W3C extended format (CloudFront,
// IIS), and that of AWS's Application Load Balancers.
package accesslog

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Line is one request as the server logged it.
type Line struct {
	Number   int       // of the line in its file, from 1
	Site     string    // that was asked, with its port if logged; "" when the log does not say it
	Address  string    // IP address of the client; "" when the log has a name or nothing there
	Time     time.Time // UTC
	Method   string    // "" when the line logs no HTTP request
	Target   string    // as requested: normally a path with query
	Status   string
	Referrer string // empty when none was sent
	Agent    string // empty when none was sent
	NoAgents bool   // the log's format has no agents
	Purpose  string // what the browser says for what it asks, such as prefetch; only logs in JSON may have it
	Repeat   int    // how many equal lines stand before it
	Text     string // the whole line, without its end
}

// parse reads one line of the common or combined format. In quoted fields it decodes the escapes of
// Apache and nginx: a backslash before a quote or a backslash, \xhh for a byte, and \n, \r, \t, \v,
// \b.
func parse(number int, text string) (Line, error) {
	l := Line{Number: number, Text: text}
	open := strings.Index(text, " [") // an IPv6 address may have brackets too
	shut := -1
	if open >= 0 {
		shut = strings.IndexByte(text[open:], ']')
	}
	if shut < 0 {
		return l, errors.New("find time: no [day/Mon/year:hour:minute:second zone] " +
			"(hint: formats are combined, common, JSON, W3C extended, and that of a load balancer of AWS)")
	}
	shut += open
	open++
	if err := l.readHead(strings.Fields(text[:open-1])); err != nil {
		return l, err
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", text[open+1:shut])
	if err != nil {
		return l, fmt.Errorf("read time: %w", err)
	}
	l.Time = at.UTC()
	request, rest, err := quoted(text[shut+1:])
	if err != nil {
		return l, fmt.Errorf("read request: %w", err)
	}
	l.Method, l.Target = splitRequest(request)
	numbers, _, _ := strings.Cut(rest, `"`)
	if list := strings.Fields(numbers); len(list) > 0 {
		l.Status = list[0]
	}
	if rest = rest[len(numbers):]; rest == "" {
		l.NoAgents = true // the common format
		return l, nil
	}
	if l.Referrer, rest, err = quoted(rest); err != nil {
		return l, fmt.Errorf("read referrer: %w", err)
	}
	if l.Agent, _, err = quoted(rest); err != nil {
		return l, fmt.Errorf("read agent: %w", err)
	}
	l.Referrer, l.Agent = present(l.Referrer), present(l.Agent)
	return l, nil
}

// readHead reads what stands before the time: site, address, identity, user.
func (l *Line) readHead(fields []string) error {
	if len(fields) == 0 {
		return errors.New("find address: the line begins with its time")
	}
	if len(fields) > 1 && ipAddress(fields[0]) == "" && ipAddress(fields[1]) != "" {
		// In a list, "unknown" stands for a client whom the proxy does not name.
		if !strings.HasSuffix(fields[0], ",") {
			l.Site = siteName(fields[0])
		}
		fields = fields[1:]
	}
	// Of a list, the first address is the client's; those behind it are proxies'.
	for _, field := range fields {
		for address := range strings.SplitSeq(field, ",") {
			if l.Address == "" {
				l.Address = ipAddress(address)
			}
		}
		if !strings.HasSuffix(field, ",") {
			break
		}
	}
	return nil
}

// siteName returns a field that can be a site's name with a port, or "".
func siteName(field string) string {
	if field == "-" || strings.ContainsAny(field, "/?#@[]\\\"") {
		return ""
	}
	return field
}

// ipAddress returns the IP address of a field, without a port, or "".
func ipAddress(field string) string {
	field = strings.TrimSuffix(field, ",")
	if first, _, list := strings.Cut(field, ","); list {
		field = first
	}
	if at, err := netip.ParseAddr(strings.Trim(field, "[]")); err == nil {
		return at.WithZone("").String()
	}
	if at, err := netip.ParseAddrPort(field); err == nil {
		return at.Addr().WithZone("").String()
	}
	return ""
}

// splitRequest takes `GET /a HTTP/1.1` apart. A target with spaces, as broken crawlers send, keeps
// them. Both parts are "" for what is no HTTP request: "-", and the bytes of another protocol.
func splitRequest(request string) (method, target string) {
	method, rest, _ := strings.Cut(request, " ")
	if i := strings.LastIndex(rest, " HTTP/"); i >= 0 {
		rest = rest[:i]
	}
	rest = strings.TrimSpace(rest)
	if method == "" || rest == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
		return "", ""
	}
	return method, rest
}

// quoted returns the next quoted field, decoded, and what follows it.
func quoted(s string) (field, rest string, err error) {
	s = strings.TrimLeft(s, " ")
	if s == "" || s[0] != '"' {
		return "", "", errors.New("no opening quote")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == '"' {
			return b.String(), s[i+1:], nil
		}
		if s[i] == '\\' {
			if c, length := unescape(s[i:]); length > 0 {
				b.WriteByte(c)
				i += length - 1
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("no closing quote")
}

// unescape decodes the escape at the beginning of s and returns its length, 0 if there is none.
func unescape(s string) (c byte, length int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\':
		return s[1], 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'v':
		return '\v', 2
	case 'b':
		return '\b', 2
	case 'x':
		if len(s) >= 4 {
			if code, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				return byte(code), 4
			}
		}
	}
	return 0, 0
}

func present(field string) string {
	if field == "-" {
		return ""
	}
	return field
}
