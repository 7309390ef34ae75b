package enrich

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

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
	// Bot reports that a machine made the click. Such clicks are stored like others and marked, so
	// that a wrong rule can be seen and undone.
	Bot bool
	// BotReason is the rule that says so: "empty" for a click without an agent, the kind and the text
	// of a row of bots.csv, as "crawler:googlebot", or what Arrive says; "" for a person.
	BotReason string
}

// Agents reads User-Agent headers. It caches some thousand answers, because few browsers make most
// of the clicks; an answer does not depend on what is cached. Safe for concurrent use.
type Agents struct {
	cache atomic.Pointer[agentCache] // of the rules in force
}

// NewAgents returns Agents that recognize machines by the rules given.
func NewAgents(rules *BotRules) *Agents {
	a := new(Agents)
	a.Replace(rules)
	return a
}

// Replace makes other rules decide about the clicks that are read from now on.
func (a *Agents) Replace(rules *BotRules) {
	a.cache.Store(newAgentCache(512, rules.agent))
}

// BuiltinAgents returns the Agents with the rules that are compiled in.
var BuiltinAgents = sync.OnceValue(func() *Agents { return NewAgents(BuiltinBotRules()) })

// triggerDeepLink is the trigger of clicks that open an app.
const triggerDeepLink = "deeplink"

// Read returns the columns of a click's User-Agent header. vouched says that a backend with a
// secret key wrote the click, trigger how the visitor came (contract: link, pageview, qr, deeplink
// or form).
func (a *Agents) Read(raw string, vouched bool, trigger string) Agent {
	if len(raw) > maxAgent {
		raw = raw[:maxAgent]
	}
	agent := a.cache.Load().get(raw)
	switch {
	case vouched && strings.TrimSpace(raw) == "":
		// A backend need not give the agent: its absence says nothing about the visitor. One that gives
		// "-", as access logs have it, says that the visitor sent none.
		agent.BotReason = ""
	case trigger == triggerDeepLink && strings.HasPrefix(agent.BotReason, botLibrary+":"):
		// An app reports the link that opened it through the same libraries that scrapers use.
		agent.BotReason = ""
	}
	if agent.BotReason != "" {
		agent.Bot, agent.Device = true, DeviceBot
	}
	return agent
}

// Arrive flags an agent whose rules say nothing by how its click came: fetched by a browser before
// anybody asked for the page (purpose: prefetch, prerender), or from a network that hosts servers.
func (a *Agent) Arrive(purpose string, datacenter bool) {
	switch {
	case a.BotReason != "":
		return
	case purpose != "":
		a.BotReason = botPreview + ":" + tidy(purpose, maxBotText)
	case datacenter:
		a.BotReason = reasonDatacenter
	default:
		return
	}
	a.Bot, a.Device = true, DeviceBot
}

// agent returns what the cache holds: the agent as if a person had sent it, and the reason against
// that.
func (b *BotRules) agent(raw string) Agent {
	parsed := parseAgent(raw)
	agent := Agent{
		// DuckDuckGo on Android has the word before its name.
		Browser:        strings.TrimPrefix(name(parsed.Name, raw), "Mobile "),
		BrowserVersion: major(parsed.Version),
		OS:             name(parsed.OS, raw),
		OSVersion:      version(parsed.OSVersion),
	}
	// Internet Explorer 11 dropped its own name; the parser then finds that of its engine.
	if agent.Browser == "Trident" {
		agent.Browser, agent.BrowserVersion = useragent.InternetExplorer, "11"
	}
	// Apps on iOS carry no browser's version, and the parser takes that of the engine (Safari/604.1).
	if agent.Browser == useragent.Safari && !strings.Contains(raw, "Version/") {
		agent.BrowserVersion = ""
	}
	agent.BotReason = b.Reason(raw)
	switch {
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

// name bounds a name. Of an agent that it does not understand, the parser returns the whole text,
// or a sentence of it, as the name. In a column of few values that would be one value per visitor,
// so it becomes "".
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

const agentShards = 16

// agentCache keeps answers in shards of two generations: when the younger one is full it becomes
// the older one, and what was in that is forgotten. What is asked for often moves on into the
// younger, so the common agents stay while a flood of invented ones passes through. At most 2 × 16
// × limit agents are held.
type agentCache struct {
	seed   maphash.Seed
	limit  int // agents in one generation of a shard
	read   func(raw string) Agent
	shards [agentShards]agentShard
}

type agentShard struct {
	mu             sync.RWMutex // guards what follows
	younger, older map[string]Agent
}

func newAgentCache(limit int, read func(raw string) Agent) *agentCache {
	return &agentCache{seed: maphash.MakeSeed(), limit: limit, read: read}
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
		agent = c.read(raw)
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.younger == nil || len(shard.younger) >= c.limit {
		shard.younger, shard.older = make(map[string]Agent, c.limit/4), shard.younger
	}
	shard.younger[raw] = agent
	return agent
}
