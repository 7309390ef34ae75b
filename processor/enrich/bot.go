package enrich

import "strings"

// The lists hold lower-case parts of agents, taken from what the programs' makers document. Each
// must be sure: a word that occurs in a person's browser makes a paying click disappear from the
// reports. "google" alone is therefore absent (phones of that maker carry it), and "bot" counts
// only where a word ends (botWord).

var headlessMarks = []string{
	"headlesschrome", "headless", "phantomjs", "slimerjs", "puppeteer", "playwright", "selenium", "webdriver",
	"cypress",
	"chrome-lighthouse", "ptst/", "gtmetrix", "pingdom", "speedcurve",
}

var httpLibraryMarks = []string{
	"curl/", "libcurl", "wget", "python-requests", "python-urllib", "python-httpx", "aiohttp", "python/",
	"go-http-client",
	"java/", "apache-httpclient", "okhttp", "axios", "node-fetch", "undici", "got (", "got/", "node.js", "ruby",
	"faraday",
	"guzzlehttp", "php/", "libwww-perl", "lwp::", "perl/", "postmanruntime", "insomnia/", "httpie", "scrapy", "winhttp",
	"powershell", "dart/", "reqwest", "hyper/", "fasthttp", "jakarta commons", "rest-client", "restsharp",
	"http_request", "deno/", "bun/",
	"feedparser", "simplepie", "libfetch", "masscan", "zgrab", "nikto", "sqlmap", "nmap",
}

var crawlerMarks = []string{
	"googlebot", "adsbot-google", "mediapartners-google", "google-inspectiontool", "googleother", "google-extended",
	"google-read-aloud", "google-site-verification", "feedfetcher-google", "apis-google", "google favicon",
	"google web preview",
	"bingbot", "bingpreview", "adidxbot", "msnbot", "yandexbot", "yandex.com/bots", "baiduspider", "sogou web spider",
	"360spider",
	"duckduckbot", "duckassistbot", "applebot", "yahoo! slurp", "seznambot", "yeti/", "petalbot", "bytespider",
	"coccocbot", "exabot",
	"gptbot", "chatgpt-user", "oai-searchbot", "claudebot", "claude-user", "claude-searchbot", "anthropic-ai",
	"perplexitybot",
	"perplexity-user", "ccbot", "cohere-ai", "mistralai-user", "meta-externalagent", "meta-externalfetcher",
	"amazonbot", "diffbot",
	"facebookexternalhit", "facebookcatalog", "facebot", "twitterbot", "linkedinbot", "pinterestbot", "redditbot",
	"slackbot",
	"slack-imgproxy", "discordbot", "telegrambot", "whatsapp/", "skypeuripreview", "microsoftpreview", "embedly",
	"iframely",
	"vkshare", "w3c_validator", "w3c-checklink", "thirdlandingpagefeinfra", "snap url preview", "bitlybot",
	"flipboardproxy",
	"ahrefsbot", "ahrefssiteaudit", "semrushbot", "mj12bot", "dotbot", "rogerbot", "screaming frog", "dataforseobot",
	"serpstatbot",
	"ezooms", "barkrowler", "blexbot", "sitebulb", "megaindex", "archive.org_bot", "ia_archiver", "heritrix", "nutch",
	"uptimerobot", "statuscake",
	"site24x7", "datadog", "newrelicpinger", "better uptime", "betteruptime", "hetrixtools", "censysinspect", "expanse",
	"internetmeasurement", "magpie-crawler", "feedly", "feedburner", "feedbin", "newsblur", "tiny tiny rss",
	"universalfeedparser",
	"googleimageproxy", "yahoomailproxy", "outlook-link-preview", "proofpoint", "barracuda", "mimecast", "safelinks",
	"prerender",
	"stripe/1.0", "validator.nu", "wordpress/", "zapier", "mastodon/", "bluesky cardyb", "genieo",
}

// botReason names the rule by which an agent is a machine, "" for a person's. parser is the opinion
// of the agent parser. The narrower rules go first, because their reasons say more.
func botReason(raw string, parser bool) string {
	if strings.TrimSpace(raw) == "" || raw == "-" {
		return "empty"
	}
	lower := strings.ToLower(raw)
	if mark := firstIn(lower, headlessMarks); mark != "" {
		return "headless:" + mark
	}
	if mark := firstIn(lower, crawlerMarks); mark != "" {
		return "crawler:" + mark
	}
	if mark := firstIn(lower, httpLibraryMarks); mark != "" {
		return "http_library:" + mark
	}
	if word := botWord(lower); word != "" {
		return "crawler:" + word
	}
	if parser {
		return "library"
	}
	return ""
}

func firstIn(text string, marks []string) string {
	for _, mark := range marks {
		if strings.Contains(text, mark) {
			return strings.TrimRight(mark, "/ (:")
		}
	}
	return ""
}

// botWord looks for a word that ends in bot, robot, spider or crawler: that is how crawlers without
// a name of renown call themselves. Cubot makes telephones.
func botWord(lower string) string {
	for _, ending := range []string{"bot", "spider", "crawler", "crawl"} {
		for from := 0; ; {
			at := strings.Index(lower[from:], ending)
			if at < 0 {
				break
			}
			end := from + at + len(ending)
			from = end
			if end < len(lower) && isLetter(lower[end]) {
				continue
			}
			start := end - len(ending)
			for start > 0 && isLetter(lower[start-1]) {
				start--
			}
			if word := lower[start:end]; word != "cubot" {
				// The rule is named, not the word, which could be anything.
				return ending
			}
		}
	}
	return ""
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' }
