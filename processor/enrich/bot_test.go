package enrich

import (
	"os"
	"strings"
	"testing"
)

func TestBot(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		agent := BuiltinAgents().Read(raw, false, "link")
		if agent.BotReason != want || agent.Bot != (want != "") || agent.Bot != (agent.Device == DeviceBot) {
			t.Errorf("Read(%q) = %+v, want reason %q", raw, agent, want)
		}
	}
	const (
		chrome  = " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Mobile Safari/537.36"
		safari  = " AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
		desktop = " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36"
	)
	f("", "empty")
	f("  ", "empty")
	f("-", "empty")
	f(chromeWindows, "")
	f(safariPhone, "")
	f(chromePhone, "")

	// Telephones whose names would be a machine's, in the browser and in an app's browser.
	for _, model := range []string{
		"M bot 60", "M bot 60 Build/NRD90M", "M_bot_tab_71", "VR BOT 552", "XBot_Senior", "IDbot553PLUS", "Spider 8",
		"Forward Ruby", "rubyplus", "Expanse", "CUBOT KINGKONG 5", "Crawler", "Headless", "Wget One",
	} {
		f("Mozilla/5.0 (Linux; Android 13; "+model+")"+chrome, "")
		f("Mozilla/5.0 (Linux; arm_64; Android 13; "+model+"; wv)"+chrome, "")
		f("Mozilla/5.0 (Linux; U; Android 13; fr-ca; "+model+")"+chrome, "")
	}
	f("Mozilla/5.0 (Linux; Android 7.0; M bot 60; wv)"+chrome+
		" Instagram 340.0 Android (24/7.0; 320dpi; 720x1280; BQ; M bot 60; mt6580)", "")
	// A telephone's name may have parentheses, and a build any letters.
	for _, part := range []string{"moto g(50) 5G Build/RRSS31.Q2-54-59-6", "moto g(50) 5G Build/S1RSS32.38-20-9-8; wv",
		"moto g(9) play", "SM-A(Bot)", "Pixel 8 Build/BOT1.123; wv"} {
		f("Mozilla/5.0 (Linux; Android 12; "+part+")"+chrome+" GNews Android/2022118446", "")
		f("Mozilla/5.0 (Linux; Android 12; "+part+")"+chrome+" (compatible; AcmeBot/1.0)", "crawler:bot")
	}
	// In the same place a program's name, and names behind a telephone's.
	f("Mozilla/5.0 (Linux; Android 13; AcmeBot/1.0)"+chrome, "crawler:bot")
	f("Mozilla/5.0 (Linux; Android 13; M bot 60; AcmeBot)"+chrome, "crawler:bot")
	f("Mozilla/5.0 (Linux; Android 13; M bot 60)"+chrome+" (compatible; AcmeBot/1.0)", "crawler:bot")
	f("Mozilla/5.0 (Linux; Android 7.0;)"+chrome+" (compatible; PetalBot)", "crawler:petalbot")
	// A browser within an app, on a telephone whose build names Google; an app that names its
	// maker's site.
	f("Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP1A; wv)"+chrome+
		" Instagram 340.0 Android (34/14; 420dpi; Google/google; Pixel 8)", "")
	f("Shop/2.1 Android/14 Device/Google-Pixel_8", "")
	f("Fountain/0.2.6 iOS https://www.fountain.fm", "")
	f("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X)"+safari+" (Ecosia ios@9.2.3.1367)", "")
	f("Mozilla/5.0 (Windows NT 10.0; Robotics)"+desktop, "")

	f("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawler:googlebot")
	f("Google-Cloud-Scheduler", "crawler:google")
	f("Mozilla/5.0 AppleWebKit/537.36 Chrome/139.0 Safari/537.36 Google-Ads-Conversions", "crawler:google")
	f("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot",
		"crawler:gptbot")
	// A model that reads pages for somebody, and a browser that a model drives.
	f("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
		"assistant:chatgpt-user")
	f("Claude-User (claude-code/2.1; +https://support.anthropic.com/)", "assistant:claude-user")
	f("Mozilla/5.0 (compatible; Qwen-User/1.0)", "assistant:user")
	f("Mozilla/5.0 (X11; Linux x86_64)"+desktop+" AgentCore-Browser", "assistant:agentcore")
	// People look at pages within assistants' and feed readers' apps.
	f("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X)"+safari+" ChatGPT/1.2025.300", "")
	f("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X)"+safari+" Feedly/90", "")
	f("Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A; wv)"+chrome+" Inoreader/7.8", "")
	f("Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers)", "feed:feedly")
	f("meta-externalads/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
		"crawler:meta-externalads")
	f("facebookexternalhit/1.1", "preview:facebookexternalhit")
	f("WhatsApp/2.23.20.0", "preview:whatsapp")
	f("Chrome Privacy Preserving Prefetch Proxy", "preview:chrome privacy preserving prefetch proxy")
	f("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/128.0.0.0 Safari/537.36",
		"headless:headlesschrome")
	f("ELB-HealthChecker/2.0", "monitor:elb-healthchecker")
	f("Mozilla/5.0 (Macintosh)"+desktop+" CloudflareDiagnostics/1.0", "monitor:cloudflare")
	f(chromeWindows+" DynatraceSynthetic/1.0", "monitor:dynatracesynthetic")
	f("check_http/v2.2.1 (nagios-plugins 2.2.1)", "monitor:check_http")
	f("LogicMonitor SiteMonitor/1.0", "monitor:logicmonitor")
	f("Uptime-Kuma/1.23.0", "monitor:uptime-kuma")
	f("curl/8.5.0", "http_library:curl")
	f("python-requests/2.31.0", "http_library:python-requests")
	f("Go-http-client/1.1", "http_library:go-http-client")
	f("AcmeBot/1.0", "crawler:bot")
	f("acme-spider", "crawler:spider")
	f("Acme/1.0 (+https://acme.example/why)", "contact:https")
	f("Acme/1.0 (ops@acme.example)", "contact:email")
	f("Mozilla/5.0 (compatible; Acme/1.0)", "crawler:no engine")
	f("Mozilla/5.0 acme", "crawler:no engine")
	f("Cotoyogi", "crawler:no engine")
	f("Claude-Web", "crawler:no engine")
	f("vilaweb-ios-app-v2", "")
	f("smarttv_AFTSO001_Build_535062120_Chromium_59.0.2883.91", "")
	f("Liferea/1.8.3 (Linux; en_GB.UTF-8; http://liferea.sf.net/)", "feed:liferea")
}

// What is known of a click beside its agent decides as well.
func TestBotOfClick(t *testing.T) {
	f := func(raw string, vouched bool, trigger, want, device string) {
		t.Helper()
		got := BuiltinAgents().Read(raw, vouched, trigger)
		if got.BotReason != want || got.Bot != (want != "") || got.Device != device {
			t.Errorf("Read(%q, %v, %s) = %+v, want reason %q, device %s", raw, vouched, trigger, got, want, device)
		}
	}
	// A backend that gives no agent says nothing about the visitor; anybody else hides one.
	f("", true, "link", "", DeviceOther)
	f("", false, "link", "empty", DeviceBot)
	f("-", true, "link", "empty", DeviceBot)
	f("", false, triggerDeepLink, "empty", DeviceBot)
	// A backend that passes on a machine's agent passes on a machine.
	f("Googlebot/2.1", true, "link", "crawler:googlebot", DeviceBot)
	// Apps report deep links through HTTP libraries.
	for _, agent := range []string{"okhttp/4.12.0", "Dart/3.4 (dart:io)", "axios/1.7.2",
		"Shop/1 CFNetwork/1494 Darwin/23.4.0", "python-requests/2.31.0"} {
		f(agent, false, triggerDeepLink, "", BuiltinBotRules().agent(agent).Device)
	}
	f("okhttp/4.12.0", false, "link", "http_library:okhttp", DeviceBot)
	f("okhttp/4.12.0", true, "qr", "http_library:okhttp", DeviceBot)
	f("Googlebot/2.1", false, triggerDeepLink, "crawler:googlebot", DeviceBot)
	f(chromePhone, false, triggerDeepLink, "", DeviceMobile)
}

// Rules that are read again decide at once, also about agents that the cache holds.
func TestReplaceRules(t *testing.T) {
	agents := NewAgents(BuiltinBotRules())
	want := func(reason string) {
		t.Helper()
		if got := agents.Read("Acme/1", false, "link"); got.BotReason != reason || got.Bot != (reason != "") {
			t.Errorf("%+v, want reason %q", got, reason)
		}
	}
	want("")
	rules, err := ReadBotRules(strings.NewReader("monitor,acme"))
	if err != nil {
		t.Fatal(err)
	}
	agents.Replace(rules)
	want("monitor:acme")
	agents.Replace(BuiltinBotRules())
	want("")
}

// The figures of DESIGN.md, kept on samples: at most 5 % of the machines are missed and
// none of the people is flagged.
func TestBotSamples(t *testing.T) {
	rules := BuiltinBotRules()
	count := func(file string) (agents, flagged int) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for agent := range strings.Lines(string(text)) {
			if agent = strings.TrimSpace(agent); agent == "" || agent[0] == '#' {
				continue
			}
			agents++
			if rules.Reason(agent) != "" {
				flagged++
			} else if strings.HasSuffix(file, "bots.txt") {
				t.Logf("missed: %s", agent)
			}
		}
		return agents, flagged
	}
	if agents, flagged := count("testdata/bots.txt"); agents < 200 || 100*(agents-flagged) > 5*agents {
		t.Errorf("%d of %d machines are flagged, want 95 %%", flagged, agents)
	}
	if agents, flagged := count("testdata/people.txt"); agents < 200 || flagged > 0 {
		t.Errorf("%d of %d people are flagged", flagged, agents)
	}
}

func TestReadBotRules(t *testing.T) {
	rules, err := ReadBotRules(strings.NewReader(
		"# ours\r\nkind,text\r\n\r\ncrawler,acme (\nperson,acme phone\ncrawler,*checkers\nmonitor,^acme\n"))
	if err != nil {
		t.Fatal(err)
	}
	f := func(agent, want string) {
		t.Helper()
		if got := rules.Reason(agent); got != want {
			t.Errorf("reason of %q is %q, want %q", agent, got, want)
		}
	}
	f("Acme (x)", "crawler:acme") // both fit, the first row counts
	f("ACME/1", "monitor:acme")
	f("an acme/1", "")
	f("lacme (x)", "")
	f("Acme Phone", "")
	f("Acme Phones of Lacme Phone", "")
	f("x/1 pagecheckers/2", "crawler:checkers")
	f("x/1 pagecheckersy/2", "")
	f("Googlebot/2.1", "") // a file replaces the built-in rules

	refused := func(file, want string) {
		t.Helper()
		if _, err := ReadBotRules(strings.NewReader(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rules %.40q: %v, want %q", file, err, want)
		}
	}
	refused("", "0 rules")
	refused("crawler,acme\nrobot,acmo", `line 2: kind "robot"`)
	refused("crawler,Acme", "lower case")
	refused("crawler,^ab", "3 to 64 bytes")
	refused("crawler", "3 to 64 bytes")
	refused("crawler,acme\nmonitor,acme", "in line 1 already")
	refused("crawler,"+strings.Repeat("a", 65), "3 to 64 bytes")
	refused(strings.Repeat("#", maxBotFile+1), "more than")
	if _, err := ReadBotRules(strings.NewReader(BuiltinBotsFile())); err != nil {
		t.Errorf("the built-in file: %v", err)
	}
}
