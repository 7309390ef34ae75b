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
