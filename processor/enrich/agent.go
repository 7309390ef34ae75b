package enrich

import (
	"hash/maphash"
	"strings"
	"sync"

	"github.com/mileusna/useragent"
)

// The devices, as they stand in the column device.
const (
	DeviceDesktop = "desktop"
	DeviceMobile  = "mobile"
	DeviceTablet  = "tablet"
	DeviceBot     = "bot"
	DeviceOther   = "other"
)

const (
	maxAgent     = 1024 // bytes of a User-Agent that are looked at; browsers send up to some 300
	maxAgentName = 64   // bytes kept of a browser's or a system's name
	maxVersion   = 32
)

// Agent are the columns that come from a User-Agent header.
type Agent struct {
	Browser        string
	BrowserVersion string // the major version: "128"
	OS             string
	OSVersion      string
	Device         string // one of the Device constants
	// Bot reports whether a machine made the click, by its own User-Agent. Such clicks are stored like
	// others and marked, so that a wrong rule can be seen and undone.
	Bot bool
	// BotReason is the rule that applied:
	//
	//	empty              no agent at all
	//	headless:NAME      a browser without a screen, or a driver of browsers
	//	http_library:NAME  a program that fetches
	//	crawler:NAME       a known crawler, or a preview of a link
	//	library            the parser's own list (github.com/mileusna/useragent), or an agent with a URL
	//
	// Apps report the links that opened them through the same libraries that scrapers use (okhttp,
	// Dart), so for clicks with the trigger "deeplink" http_library means nothing.
	BotReason string
}

// UserAgent parses a User-Agent header. It caches some thousand agents, because few browsers make most
// of the clicks. Safe for concurrent use.
func UserAgent(raw string) Agent {
	if len(raw) > maxAgent {
		raw = raw[:maxAgent]
	}
	return agents.get(raw)
}

// readAgent is UserAgent without its cache.
func readAgent(raw string) Agent {
	parsed := parseAgent(raw)
	agent := Agent{
		Browser:        name(parsed.Name, raw),
		BrowserVersion: major(parsed.Version),
		OS:             name(parsed.OS, raw),
		OSVersion:      version(parsed.OSVersion),
	}
	// Internet Explorer 11 dropped its own name; the parser then finds that of its engine.
	if agent.Browser == "Trident" {
		agent.Browser, agent.BrowserVersion = useragent.InternetExplorer, "11"
	}
	agent.BotReason = botReason(raw, parsed.Bot)
	agent.Bot = agent.BotReason != ""
	switch {
	case agent.Bot:
		agent.Device = DeviceBot
	case isTelevision(raw):
		agent.Device = DeviceOther
	case parsed.Tablet, parsed.OS == useragent.Android && !strings.Contains(raw, "Mobile") &&
		strings.Contains(raw, "Chrome/"):
		// Chrome says "Mobile" on phones and leaves it out on tablets (developer.chrome.com,
		// "User-Agent strings").
		agent.Device = DeviceTablet
	case parsed.Mobile:
		agent.Device = DeviceMobile
	case parsed.Desktop, parsed.OS == useragent.ChromeOS:
		agent.Device = DeviceDesktop
	default:
		agent.Device = DeviceOther
	}
	return agent
}

// parseAgent shields against the parser: the text comes from strangers, and a panic would stop a
// partition at the same record for ever.
func parseAgent(raw string) (parsed useragent.UserAgent) {
	defer func() {
		if recover() != nil {
			parsed = useragent.UserAgent{}
		}
	}()
	return useragent.Parse(raw)
}

// name bounds a name. For an agent that it does not understand the parser gives the whole text, or
// a sentence of it, as the name, which would make one value per visitor out of a column of few;
// that becomes "".
func name(s, raw string) string {
	if len(s) > maxAgentName || strings.Count(s, " ") > 3 || s == raw && strings.ContainsAny(s, " /;(") {
		return ""
	}
	return tidy(s, maxAgentName)
}

// major returns the digits before the first point.
func major(s string) string {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end > 6 {
		return ""
	}
	return s[:end]
}

// version keeps what begins with a digit. For Linux the parser gives the architecture there.
func version(s string) string {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return ""
	}
	return strings.ReplaceAll(tidy(s, maxVersion), "_", ".")
}

func isTelevision(raw string) bool {
	for _, mark := range []string{"SmartTV", "SMART-TV", "Smart-TV", "Android TV", "GoogleTV", "AppleTV", "Apple TV",
		"BRAVIA", "Web0S", "HbbTV", "CrKey", "Roku", "PlayStation", "Xbox", "Nintendo"} {
		if strings.Contains(raw, mark) {
			return true
		}
	}
	return false
}

// agents is the memory of UserAgent.
var agents = newAgentCache(512)

const agentShards = 16

// agentCache remembers answers in shards of two generations: when the younger one is full it
// becomes the older one, and what was in that is forgotten. What is asked for often moves on into
// the younger, so the common agents stay while a flood of invented ones passes through. At most 2 ×
// 16 × limit agents are held.
type agentCache struct {
	seed   maphash.Seed
	limit  int // agents in one generation of a shard
	shards [agentShards]agentShard
}

type agentShard struct {
	mu             sync.RWMutex // guards what follows
	younger, older map[string]Agent
}

func newAgentCache(limit int) *agentCache {
	return &agentCache{seed: maphash.MakeSeed(), limit: limit}
}

func (c *agentCache) get(raw string) Agent {
	shard := &c.shards[maphash.String(c.seed, raw)%agentShards]
	shard.mu.RLock()
	agent, young := shard.younger[raw]
	known := young
	if !young {
		agent, known = shard.older[raw]
	}
	shard.mu.RUnlock()
	if young {
		return agent
	}
	// The caller's text may be a piece of a larger buffer, which a kept key or column must not hold
	// on to.
	raw = strings.Clone(raw)
	if !known {
		agent = readAgent(raw)
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.younger == nil || len(shard.younger) >= c.limit {
		shard.younger, shard.older = make(map[string]Agent, c.limit/4), shard.younger
	}
	shard.younger[raw] = agent
	return agent
}
