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

func TestUserAgent(t *testing.T) {
	f := func(raw, browser, browserVersion, os, osVersion, device string) {
		t.Helper()
		got := UserAgent(raw)
		want := Agent{Browser: browser, BrowserVersion: browserVersion, OS: os, OSVersion: osVersion, Device: device}
		if got != want {
			t.Errorf("UserAgent(%q)\n got %+v\nwant %+v", raw, got, want)
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
	// Cubot makes telephones.
	f("Mozilla/5.0 (Linux; Android 11; CUBOT KINGKONG 5) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "+
		"Mobile Safari/537.36", "Chrome", "120", "Android", "11", DeviceMobile)
	f("some words that mean nothing; really", "", "", "", "", DeviceOther)
}

func TestBot(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		agent := UserAgent(raw)
		if agent.BotReason != want || agent.Bot != (want != "") {
			t.Errorf("UserAgent(%q) = %+v; want %q", raw, agent, want)
		}
		if agent.Bot != (agent.Device == DeviceBot) {
			t.Errorf("UserAgent(%q) = %+v", raw, agent)
		}
	}
	f("", "empty")
	f("  ", "empty")
	f("-", "empty")
	f(chromeWindows, "")
	f(safariPhone, "")
	f(chromePhone, "")
	// A browser within an app, on a phone whose build names Google.
	f("Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "+
		"Chrome/128.0 Mobile Safari/537.36 Instagram 340.0 Android (34/14; 420dpi; Google/google; Pixel 8)", "")
	f("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawler:googlebot")
	f("facebookexternalhit/1.1", "crawler:facebookexternalhit")
	f("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot",
		"crawler:gptbot")
	f("WhatsApp/2.23.20.0", "crawler:whatsapp")
	f("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/128.0.0.0 Safari/537.36",
		"headless:headlesschrome")
	f("curl/8.5.0", "http_library:curl")
	f("python-requests/2.31.0", "http_library:python-requests")
	f("Go-http-client/1.1", "http_library:go-http-client")
	f("AcmeBot/1.0", "crawler:bot")
	f("acme-spider", "crawler:spider")
	f("Mozilla/5.0 (Windows NT 10.0; Robotics) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
		"")
	f("Liferea/1.8.3 (Linux; en_GB.UTF-8; http://liferea.sf.net/)", "library")
}

// A flood of invented agents neither grows the memory without bound nor changes an answer.
func TestAgentCacheBounded(t *testing.T) {
	const limit = 8
	cache := newAgentCache(limit)
	want := readAgent(chromeWindows)
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

func TestMarksAreLowerCase(t *testing.T) {
	for _, list := range [][]string{headlessMarks, httpLibraryMarks, crawlerMarks} {
		seen := make(map[string]bool)
		for _, mark := range list {
			if mark != strings.ToLower(mark) || len(mark) < 4 || seen[mark] {
				t.Errorf("mark %q: want lower case, four letters or more, once", mark)
			}
			seen[mark] = true
		}
	}
}

func FuzzUserAgent(f *testing.F) {
	for _, seed := range []string{"", chromeWindows, safariPhone, "Mozilla/5.0 (", "((((;;;;", "Android;", "\xff\x00/",
		"bot", "Instagram", "Mozilla/5.0 (Linux; Android"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		agent := readAgent(raw)
		for _, text := range []string{agent.Browser, agent.BrowserVersion, agent.OS, agent.OSVersion, agent.BotReason} {
			if !utf8.ValidString(text) || len(text) > maxAgentName {
				t.Fatalf("readAgent(%q) keeps %q", raw, text)
			}
		}
		switch agent.Device {
		case DeviceDesktop, DeviceMobile, DeviceTablet, DeviceOther:
			if agent.Bot {
				t.Fatalf("readAgent(%q) = %+v", raw, agent)
			}
		case DeviceBot:
			if !agent.Bot || agent.BotReason == "" {
				t.Fatalf("readAgent(%q) = %+v", raw, agent)
			}
		default:
			t.Fatalf("readAgent(%q): device %q", raw, agent.Device)
		}
	})
}

func BenchmarkUserAgent(b *testing.B) {
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				UserAgent(chromePhone)
			}
		})
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			readAgent(chromePhone)
		}
	})
}
