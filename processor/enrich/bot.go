package enrich

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
)

//go:embed bots.csv
var botsCSV string

// The kinds of rules in bots.csv. A reason is a kind, a colon and the rule's text.
const (
	botHeadless = "headless"     // a browser without a screen, or a driver of browsers
	botCrawler  = "crawler"      // reads pages for an index, a model, an archive or an analysis
	botAssist   = "assistant"    // reads a page, or acts on it, because a person asked a model
	botPreview  = "preview"      // fetches a page to show a link, or before a person asks for it
	botMonitor  = "monitor"      // looks whether a site works, is fast or is safe
	botFeed     = "feed"         // reads a feed for its subscribers
	botLibrary  = "http_library" // a program's HTTP client; an app that reports a deep link uses one too
	botContact  = "contact"      // the agent carries its maker's address, which a browser's does not
	person      = "person"       // the text says nothing; it is taken out before the other rules look
)

// reasonEmpty is the reason of a click without an agent.
const reasonEmpty = "empty"

// reasonDatacenter is the reason of a click from a network that hosts servers.
const reasonDatacenter = "network:datacenter"

const (
	minBotText  = 3       // bytes of a rule's text; the index needs them
	maxBotText  = 64      // bytes of a rule's text, so that a reason is short
	botBuckets  = 1 << 12 // several for each rule
	maxBotRules = 20_000  // rules in a file
	maxBotFile  = 2 << 20 // bytes of a file of rules
)

// BotRules decide by an agent's words whether a machine sent it.
type BotRules struct {
	// index holds the rules by a hash of the first three bytes of their text, so that an agent is read
	// once, however many rules there are. Most places of an agent have an empty bucket.
	index   [botBuckets][]botRule
	persons []string // texts of person rules
}

// botRule looks for a text in an agent in lower case.
type botRule struct {
	text   string
	where  byte // whereBegins, whereEnds, whereFirst
	reason string
	rank   int // of rules that match, the lowest gives the reason
}

const (
	whereBegins = ' ' // the text begins a word
	whereEnds   = '*' // the text ends a word
	whereFirst  = '^' // the agent begins with the text
)

// BuiltinBotRules returns the rules that are compiled in.
func BuiltinBotRules() *BotRules {
	rules, err := ReadBotRules(strings.NewReader(botsCSV))
	if err != nil {
		panic(fmt.Sprintf("compiled-in bots.csv: %v", err))
	}
	return rules
}

// BuiltinBotsFile returns the file of rules that is compiled in, to begin an own one with.
func BuiltinBotsFile() string { return botsCSV }

// ReadBotRules reads a file of rules: lines "kind,text", "#" begins a comment. The head of the
// built-in file describes the format.
func ReadBotRules(from io.Reader) (*BotRules, error) {
	file, err := io.ReadAll(io.LimitReader(from, maxBotFile+1))
	if err != nil {
		return nil, fmt.Errorf("read bot rules: %w", err)
	}
	if len(file) > maxBotFile {
		return nil, fmt.Errorf("read bot rules: more than %d bytes", maxBotFile)
	}
	rules := new(BotRules)
	seen := make(map[string]int) // the line of each text
	for i, line := range strings.Split(string(file), "\n") {
		if line = strings.TrimRight(line, "\r"); line == "" || line[0] == '#' || line == "kind,text" {
			continue
		}
		kind, text, _ := strings.Cut(line, ",")
		if first, twice := seen[text]; twice {
			return nil, fmt.Errorf("read bot rules: line %d: %q is in line %d already", i+1, text, first)
		}
		seen[text] = i + 1
		if err := rules.add(kind, text, i); err != nil {
			return nil, fmt.Errorf("read bot rules: line %d: %w", i+1, err)
		}
	}
	if len(seen) == 0 || len(seen) > maxBotRules {
		return nil, fmt.Errorf("read bot rules: %d rules (hint: 1 to %d lines \"kind,text\")", len(seen), maxBotRules)
	}
	return rules, nil
}

func (b *BotRules) add(kind, text string, rank int) error {
	rule := botRule{text: text, where: whereBegins, rank: rank}
	if text != "" && (text[0] == whereEnds || text[0] == whereFirst) {
		rule.where, rule.text = text[0], text[1:]
	}
	if len(rule.text) < minBotText || len(rule.text) > maxBotText || rule.text != strings.ToLower(rule.text) {
		return fmt.Errorf("text %q (hint: %d to %d bytes in lower case, after ^ or *)", text, minBotText, maxBotText)
	}
	switch kind {
	case person:
		b.persons = append(b.persons, rule.text)
		return nil
	case botHeadless, botCrawler, botAssist, botPreview, botMonitor, botFeed, botLibrary, botContact:
	default:
		return fmt.Errorf("kind %q is unknown (hint: headless, crawler, assistant, preview, monitor, feed, http_library, "+
			"contact or person)", kind)
	}
	rule.reason = kind + ":" + strings.Trim(rule.text, " /(:+-_.")
	bucket := botBucket(rule.text)
	b.index[bucket] = append(b.index[bucket], rule)
	return nil
}

// Reason returns by which rule an agent is a machine's, "" for a person's.
func (b *BotRules) Reason(agent string) string {
	agent = strings.TrimSpace(agent)
	if agent == "" || agent == "-" {
		return reasonEmpty
	}
	agent = strings.ToLower(agent)
	for _, text := range b.persons {
		agent = cutWords(agent, text)
	}
	// The name of a telephone is its maker's to choose: "M bot 60", "Spider 8", "Ruby".
	from, to := androidModel(agent)
	best := b.match(agent[:from], 0, botRule{rank: maxBotFile})
	best = b.match(agent, to, best)
	if best.reason == "" && hasEmail(agent) {
		best.reason = botContact + ":email"
	}
	if best.reason == "" && isEmptyShell(agent) {
		best.reason = botCrawler + ":no engine"
	}
	// Apps of telephones name their maker's site. A browser does not, nor does a crawler that
	// pretends to be one leave it out. In a reader's app a person looks at the page.
	if strings.HasPrefix(best.reason, botContact) && isPhoneApp(agent) ||
		strings.HasPrefix(best.reason, botFeed) && isPhoneBrowser(agent) {
		return ""
	}
	return best.reason
}

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

// match returns, of the rules that fit the text at from or behind it, the one of the lowest rank.
// It returns best if none of them has a lower rank than best.
func (b *BotRules) match(text string, from int, best botRule) botRule {
	for at := from; at+minBotText <= len(text); at++ {
		bucket := b.index[botBucket(text[at:])]
		for i := range bucket {
			if rule := &bucket[i]; rule.rank < best.rank && rule.fits(text, at) {
				best = *rule
			}
		}
	}
	return best
}

// botBucket hashes the first three bytes of a text.
func botBucket(text string) int {
	return (int(text[0])<<8 ^ int(text[1])<<4 ^ int(text[2])) % botBuckets
}

func (r *botRule) fits(text string, at int) bool {
	if !strings.HasPrefix(text[at:], r.text) {
		return false
	}
	switch r.where {
	case whereFirst:
		return at == 0
	case whereEnds:
		end := at + len(r.text)
		return end == len(text) || !isLetter(text[end])
	}
	return at == 0 || !isLetter(text[at-1])
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
