package enrich

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

const (
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
		"Chrome/128.0.0.0 Safari/537.36"
	safariPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like " +
		"Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	chromePhone = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) " +
		"Chrome/128.0.0.0 Mobile Safari/537.36"
)

func TestAgent(t *testing.T) {
	f := func(raw, browser, browserVersion, os, osVersion, device string) {
		t.Helper()
		got := BuiltinAgents().Read(raw, false, "link")
		want := Agent{Browser: browser, BrowserVersion: browserVersion, OS: os, OSVersion: osVersion, Device: device}
		if got != want {
			t.Errorf("Read(%q)\n got %+v\nwant %+v", raw, got, want)
		}
	}
	f(chromeWindows, "Chrome", "128", "Windows", "10.0", DeviceDesktop)
	f(safariPhone, "Safari", "17", "iOS", "17.5", DeviceMobile)
	f(chromePhone, "Chrome", "128", "Android", "14", DeviceMobile)
	f(strings.Replace(chromePhone, "Mobile ", "", 1), "Chrome", "128", "Android", "14", DeviceTablet)
	f("Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 "+
		"Mobile/15E148 Safari/604.1", "Safari", "12", "iOS", "12.2", DeviceTablet)
	f("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "+
		"Safari/605.1.15", "Safari", "17", "macOS", "10.15.7", DeviceDesktop)
	f("Mozilla/5.0 (X11; Linux x86_64; rv:129.0) Gecko/20100101 Firefox/129.0", "Firefox", "129", "Linux", "",
		DeviceDesktop)
	f("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 "+
		"Safari/537.36 Edg/128.0.0.0", "Edge", "128", "Windows", "10.0", DeviceDesktop)
	f("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
		"Chrome", "128", "ChromeOS", "", DeviceDesktop)
	f("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "11", "Windows",
		"10.0", DeviceDesktop)
	f("Mozilla/5.0 (Linux; Android 12; SHIELD Android TV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "+
		"Safari/537.36", "Chrome", "120", "Android", "12", DeviceOther)
	f("Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/123.0.0.0 "+
		"Mobile DuckDuckGo/5 Safari/537.36", "DuckDuckGo", "5", "Android", "14", DeviceMobile)
	f("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/300.0.598994205 "+
		"Mobile/15E148 Safari/604.1", "Safari", "", "iOS", "17.0", DeviceMobile)
	// Cubot makes telephones.
	f("Mozilla/5.0 (Linux; Android 11; CUBOT KINGKONG 5) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "+
		"Mobile Safari/537.36", "Chrome", "120", "Android", "11", DeviceMobile)
	f("some words that mean nothing; really", "", "", "", "", DeviceOther)
}

// How a click came flags it where the agent alone does not; the agent's own reason stays.
func TestArrive(t *testing.T) {
	f := func(raw, purpose string, datacenter bool, reason, device string) {
		t.Helper()
		agent := BuiltinAgents().Read(raw, false, "link")
		agent.Arrive(purpose, datacenter)
		if agent.BotReason != reason || agent.Bot != (reason != "") || agent.Device != device {
			t.Errorf("%q, %q, %t: got %+v, want %q on %s", raw, purpose, datacenter, agent, reason, device)
		}
	}
	f(chromeWindows, "", false, "", DeviceDesktop)
	f(chromeWindows, "prefetch", false, "preview:prefetch", DeviceBot)
	f(chromePhone, "prerender", true, "preview:prerender", DeviceBot)
	f(chromeWindows, "", true, "network:datacenter", DeviceBot)
	f("curl/8.5.0", "prefetch", true, "http_library:curl", DeviceBot)
	f("", "", true, "empty", DeviceBot)
}

// What the agent no longer says, the client hints do, and they change nothing else.
func TestHint(t *testing.T) {
	const (
		mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) " +
			"Chrome/131.0.0.0 Safari/537.36"
		edge   = chromeWindows + " Edg/131.0.0.0"
		grease = `"Not)A;Brand";v="99", "Chromium";v="131"`
		chrome = grease + `, "Google Chrome";v="131"`
		brave  = `"Brave";v="131", ` + grease
	)
	f := func(raw, brands, platform, version, browser, browserVersion, osVersion, reason string) {
		t.Helper()
		agent := BuiltinAgents().Read(raw, false, "link")
		agent.Hint(brands, platform, version)
		if agent.Browser != browser || agent.BrowserVersion != browserVersion || agent.OSVersion != osVersion ||
			agent.BotReason != reason || agent.Bot != (reason != "") || agent.Bot != (agent.Device == DeviceBot) {
			t.Errorf("%s, %s, %s: %+v, want %s %s on %s, reason %q", brands, platform, version, agent, browser, browserVersion,
				osVersion, reason)
		}
	}
	f(chromeWindows, "", "", "", "Chrome", "128", "10.0", "")
	f(chromeWindows, chrome, `"Windows"`, "", "Chrome", "128", "10.0", "")
	f(chromeWindows, brave, `"Windows"`, `"15.0.0"`, "Brave", "131", "11", "")
	f(chromeWindows, chrome, `"Windows"`, `"10.0.0"`, "Chrome", "128", "10", "")
	f(chromeWindows, chrome, `"Windows"`, `"0.3.0"`, "Chrome", "128", "10.0", "")
	f(chromeWindows, chrome, `"Linux"`, `"6.8.0"`, "Chrome", "128", "10.0", "") // of another system
	f(mac, chrome, `"macOS"`, `"15.1.0"`, "Chrome", "131", "15.1.0", "")
	f(edge, `"Microsoft Edge";v="131", `+grease, `"Windows"`, "", "Edge", "131", "10.0", "")
	f(safariPhone, brave, `"iOS"`, `"1"`, "Safari", "17", "17.5", "")
	f(chromeWindows, grease+`, "HeadlessChrome";v="131"`, `"Linux"`, "", "Chrome", "128", "10.0",
		"headless:headlesschrome")
	f("Googlebot/2.1", grease+`, "HeadlessChrome";v="131"`, "", "", "Googlebot", "2", "", "crawler:googlebot")
	for _, odd := range []string{`"`, `""`, `"a`, `"Brave"`, `"Brave";v=`, "Brave", "\xff", strings.Repeat(`"`, 99)} {
		f(chromeWindows, odd, odd, odd, "Chrome", "128", "10.0", "")
	}
}

// A flood of invented agents neither grows the memory without bound nor changes an answer.
func TestAgentCacheBounded(t *testing.T) {
	const limit = 8
	rules := BuiltinBotRules()
	cache := newAgentCache(limit, rules.agent)
	want := rules.agent(chromeWindows)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 2000 {
				cache.get(fmt.Sprintf("Agent/%d.%d", worker, i))
				if got := cache.get(chromeWindows); got != want {
					t.Errorf("got %+v, want %+v", got, want)
					return
				}
			}
		})
	}
	group.Wait()
	for i := range cache.shards {
		if shard := &cache.shards[i]; len(shard.younger) > limit || len(shard.older) > limit {
			t.Errorf("shard %d holds %d and %d agents, limit %d", i, len(shard.younger), len(shard.older), limit)
		}
	}
}

func FuzzAgent(f *testing.F) {
	for _, seed := range []string{"", chromeWindows, safariPhone, "Mozilla/5.0 (", "((((;;;;", "Android;", "\xff\x00/",
		"bot", "Instagram", "Mozilla/5.0 (Linux; Android"} {
		f.Add(seed)
	}
	agents := BuiltinAgents()
	f.Fuzz(func(t *testing.T, raw string) {
		agent := agents.Read(raw, false, "link")
		for _, text := range []string{agent.Browser, agent.BrowserVersion, agent.OS, agent.OSVersion, agent.BotReason} {
			if !utf8.ValidString(text) || len(text) > maxAgentName+maxVersion {
				t.Fatalf("Read(%q) keeps %q", raw, text)
			}
		}
		if agent.Bot != (agent.BotReason != "") || agent.Bot != (agent.Device == DeviceBot) {
			t.Fatalf("Read(%q) = %+v", raw, agent)
		}
		switch agent.Device {
		case DeviceDesktop, DeviceMobile, DeviceTablet, DeviceOther, DeviceBot:
		default:
			t.Fatalf("Read(%q): device %q", raw, agent.Device)
		}
	})
}

func BenchmarkHint(b *testing.B) {
	agent := BuiltinAgents().Read(chromeWindows, false, "link")
	b.ReportAllocs()
	for b.Loop() {
		hinted := agent
		hinted.Hint(`"Not)A;Brand";v="99", "Chromium";v="131", "Google Chrome";v="131"`, `"Windows"`, `"15.0.0"`)
	}
}

func BenchmarkAgent(b *testing.B) {
	agents, rules := BuiltinAgents(), BuiltinBotRules()
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				agents.Read(chromePhone, false, "link")
			}
		})
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rules.agent(chromePhone)
		}
	})
}
