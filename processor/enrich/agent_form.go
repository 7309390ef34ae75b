package enrich

import (
	_ "embed"
	"strings"
)

// cutWords replaces a text by a space wherever it begins a word.
func cutWords(agent, text string) string {
	for from := 0; ; {
		at := strings.Index(agent[from:], text)
		if at < 0 {
			return agent
		}
		if at += from; at > 0 && isLetter(agent[at-1]) {
			from = at + 1
			continue
		}
		agent = agent[:at] + " " + agent[at+len(text):]
		from = at + 1
	}
}

// androidModel returns where the name of the telephone and its build stand in an agent in lower
// case:
//
//	mozilla/5.0 (linux; u; android 7.0; fr-ca; m bot 60 build/nrd90m) …
//	mozilla/5.0 (linux; android 12; moto g(50) 5g build/s1rss32.38; wv) …
//
// A name with a slash is a program's and not a telephone's.
func androidModel(agent string) (from, to int) {
	const mark = "; android "
	at := strings.Index(agent, mark)
	if at < 0 {
		return 0, 0
	}
	from = at + len(mark)
	semicolon := strings.IndexAny(agent[from:], ";)")
	if semicolon < 0 || agent[from+semicolon] == ')' {
		return 0, 0
	}
	from += semicolon + 1
	if len(agent) > from+6 && agent[from+3] == '-' && agent[from+6] == ';' { // a language
		from += len(" fr-ca;")
	}
	to = from + partLength(agent[from:])
	name, _, _ := strings.Cut(agent[from:to], " build/")
	if to == len(agent) || strings.IndexByte(name, '/') >= 0 {
		return 0, 0
	}
	return from, to
}

// partLength returns the length of what stands before the next semicolon, or before the parenthesis
// that closes the comment around it.
func partLength(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return i
			}
		case ';':
			return i
		}
	}
	return len(text)
}

// isPhoneApp reports whether an agent in lower case is an app's on a telephone or a watch.
func isPhoneApp(agent string) bool {
	if strings.HasPrefix(agent, "mozilla/") {
		return false
	}
	for _, mark := range []string{"android", "iphone", "ipad", " ios", "/ios", "-ios", "apple watch"} {
		if strings.Contains(agent, mark) {
			return true
		}
	}
	return false
}

// isPhoneBrowser reports whether an agent in lower case is a browser's on a telephone, also within
// an app.
func isPhoneBrowser(agent string) bool {
	return strings.HasPrefix(agent, "mozilla/5.0 (iphone;") || strings.HasPrefix(agent, "mozilla/5.0 (ipad;") ||
		strings.Contains(agent, "; wv)")
}

// hasEmail reports whether a text in lower case has an e-mail address: a letter or a digit, "@",
// and a domain that begins with a letter. Versions of apps have digits behind the "@" (ios@9.2.3).
func hasEmail(text string) bool {
	at := strings.IndexByte(text, '@')
	if at <= 0 || at+1 == len(text) || !isLetter(text[at+1]) || !isLetter(text[at-1]) && !isDigits(text[at-1:at]) {
		return false
	}
	for _, c := range []byte(text[at+1:]) {
		if c == '.' {
			return true
		}
		if !isLetter(c) && c != '-' && (c < '0' || c > '9') {
			break
		}
	}
	return false
}

// isEmptyShell reports whether an agent in lower case is one word without a version, or says that
// it is compatible with browsers and then names no engine of a browser, as "mozilla/5.0
// (compatible; acme/1.0)" and "mozilla/5.0 acme".
func isEmptyShell(agent string) bool {
	const shell = "mozilla/5.0"
	if strings.Trim(agent, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
		return !isPhoneApp(agent)
	}
	if !strings.HasPrefix(agent, shell) {
		return false
	}
	if strings.Contains(agent, "(") && !strings.HasPrefix(agent, shell+" (compatible") {
		return false
	}
	for _, engine := range []string{
		"gecko", "webkit", "msie", "trident", "opera", "khtml", "konqueror", "ibrowse", "profile/midp",
	} {
		if strings.Contains(agent, engine) {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' }
