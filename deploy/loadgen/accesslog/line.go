// Package accesslog reads web servers' access logs in the combined format and names each line as a
// click.
//
//	203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 512 "https://from.example/" "Mozilla/5.0 …"
package accesslog

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Line is one request as the server logged it.
type Line struct {
	Number   int       // of the line in its file, from 1
	Address  string    // of the client
	Time     time.Time // UTC, whole seconds
	Method   string
	Target   string // as requested: normally a path with query
	Status   string
	Referrer string // empty when none was sent
	Agent    string // empty when none was sent
	Text     string // the whole line, without its end
}

// Parse reads one line. Quotes and backslashes within quoted fields are escaped by a backslash, as
// Apache and nginx do.
func Parse(number int, text string) (Line, error) {
	l := Line{Number: number, Text: text}
	open := strings.IndexByte(text, '[')
	shut := strings.IndexByte(text, ']')
	if open < 0 || shut < open {
		return l, errors.New("find time: no [day/Mon/year:hour:minute:second zone]; is this the combined log format?")
	}
	head := strings.Fields(text[:open])
	if len(head) == 0 {
		return l, errors.New("find address: the line begins with its time")
	}
	l.Address = head[0]
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", text[open+1:shut])
	if err != nil {
		return l, fmt.Errorf("read time: %w", err)
	}
	l.Time = at.UTC()
	request, rest, err := quoted(text[shut+1:])
	if err != nil {
		return l, fmt.Errorf("read request: %w", err)
	}
	if l.Method, l.Target, err = splitRequest(request); err != nil {
		return l, err
	}
	rest = strings.TrimLeft(rest, " ")
	cut := strings.IndexByte(rest, '"')
	if cut < 0 {
		return l, errors.New("find referrer and agent: the line ends before them; the common format lacks them, log in the combined one")
	}
	if numbers := strings.Fields(rest[:cut]); len(numbers) > 0 {
		l.Status = numbers[0]
	}
	if l.Referrer, rest, err = quoted(rest[cut:]); err != nil {
		return l, fmt.Errorf("read referrer: %w", err)
	}
	if l.Agent, _, err = quoted(rest); err != nil {
		return l, fmt.Errorf("read agent: %w", err)
	}
	l.Referrer, l.Agent = present(l.Referrer), present(l.Agent)
	return l, nil
}

// splitRequest takes `GET /a HTTP/1.1` apart. A target with spaces, as broken crawlers send, keeps
// them.
func splitRequest(request string) (method, target string, err error) {
	method, rest, ok := strings.Cut(request, " ")
	if !ok || method == "" {
		return "", "", fmt.Errorf("read request: %q has no target", request)
	}
	if i := strings.LastIndex(rest, " HTTP/"); i >= 0 {
		rest = rest[:i]
	}
	if rest = strings.TrimSpace(rest); rest == "" {
		return "", "", fmt.Errorf("read request: %q has no target", request)
	}
	return method, rest, nil
}

// quoted reads the next quoted field and answers what follows it.
func quoted(s string) (field, rest string, err error) {
	s = strings.TrimLeft(s, " ")
	if s == "" || s[0] != '"' {
		return "", "", errors.New("no opening quote")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("no closing quote")
}

func present(field string) string {
	if field == "-" {
		return ""
	}
	return field
}
