package enrich

import (
	"strconv"
	"strings"

	"github.com/mileusna/useragent"
)

// hintedBrowsers are browsers by the brand of their client hints, of which some send Chrome's
// agent.
var hintedBrowsers = map[string]string{
	"Brave": "Brave", "DuckDuckGo": "DuckDuckGo", "Microsoft Edge": useragent.Edge, "Opera": useragent.Opera,
	"Vivaldi": "Vivaldi", "YaBrowser": "YaBrowser",
}

// Hint adds what a browser's client hints say and its agent does not. Chromium has frozen the
// agent: every Windows is 10 in it, every macOS 10.15.7, and a browser of another brand may call
// itself Chrome. brands, platform and version are the headers Sec-CH-UA, Sec-CH-UA-Platform and
// Sec-CH-UA-Platform-Version (W3C User-Agent Client Hints).
func (a *Agent) Hint(brands, platform, version string) {
	if brands == "" {
		return
	}
	// Of a list "name";v="version", "name";v="version" every second text in quotes is a name.
	for rest := brands; ; {
		var name, number string
		var found bool
		if name, rest, found = nextQuoted(rest); found {
			number, rest, found = nextQuoted(rest)
		}
		if !found {
			break
		}
		if browser := hintedBrowsers[name]; browser != "" && a.Browser == useragent.Chrome {
			a.Browser, a.BrowserVersion = browser, major(number)
		}
		if name == "HeadlessChrome" && a.BotReason == "" {
			a.Bot, a.BotReason, a.Device = true, botHeadless+":headlesschrome", DeviceBot
		}
	}
	platform, _, _ = nextQuoted(platform)
	version, _, found := nextQuoted(version)
	if !found || platform != a.OS {
		return
	}
	switch number, err := strconv.Atoi(major(version)); {
	case a.OS == useragent.MacOS, a.OS == useragent.Android:
		a.OSVersion = tidy(version, maxVersion)
	case a.OS != useragent.Windows || err != nil || number == 0: // 0.1 to 0.3 are Windows 7 to 8.1, which the agent says
	case number >= 13: // learn.microsoft.com, "Detect Windows 11 using User-Agent Client Hints"
		a.OSVersion = "11"
	default:
		a.OSVersion = "10"
	}
}

// nextQuoted returns the next text in quotes and what follows it.
func nextQuoted(text string) (quoted, rest string, found bool) {
	if _, text, found = strings.Cut(text, `"`); !found {
		return "", "", false
	}
	return strings.Cut(text, `"`)
}
