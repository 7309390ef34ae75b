package enrich

import (
	"os"
	"testing"
)

func TestReferrerDomain(t *testing.T) {
	f := func(raw, site, want string) {
		t.Helper()
		if got := ReferrerDomain(raw, site); got != want {
			t.Errorf("ReferrerDomain(%q, %q) = %q, want %q", raw, site, got, want)
		}
	}
	f("", "example.com", "")
	f("", "", "")
	f("https://WWW.Google.com/search?q=x", "example.com", "google.com")
	f("https://example.com/a", "example.com", "")
	f("https://www.example.com:8443/a", "Example.com", "")
	f("https://example.com/a", "www.example.com", "")
	f("https://blog.example.com/", "example.com", "blog.example.com")
	f("https://example.com.evil.net/", "example.com", "example.com.evil.net")
	f("android-app://com.google.android.gm/", "example.com", "com.google.android.gm")
	f("t.co/abc", "example.com", "t.co")
	f("-", "example.com", "")
	f("about:blank", "example.com", "")
	f("\xff\xff", "example.com", "")
}

func TestChannel(t *testing.T) {
	table, err := os.ReadFile("testdata/channels.csv")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, row := range rows(string(table), 3) {
		parts := URL("https://shop.example/?" + row[0])
		got := Channel(parts, ReferrerDomain(row[1], parts.Host))
		if got != row[2] {
			t.Errorf("channel of %q from %q is %s, want %s", row[0], row[1], got, row[2])
		}
		seen[got] = true
	}
	for _, channel := range []string{
		ChannelDirect, ChannelOrganicSearch, ChannelPaidSearch, ChannelOrganicSocial, ChannelPaidSocial, ChannelEmail,
		ChannelAffiliate, ChannelReferral, ChannelAI, ChannelDisplay, ChannelOther,
	} {
		if !seen[channel] {
			t.Errorf("no row gives the channel %s", channel)
		}
	}
}

func BenchmarkChannel(b *testing.B) {
	parts := URL("https://shop.example/?utm_source=spring&utm_campaign=a")
	b.ReportAllocs()
	for b.Loop() {
		Channel(parts, "news.search.yahoo.co.uk")
	}
}

func BenchmarkReferrerDomain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ReferrerDomain("https://www.google.com/search?q=x", "shop.example")
	}
}

// A click from its record to its columns; its agent is cached.
func BenchmarkClick(b *testing.B) {
	agents := BuiltinAgents()
	for b.Loop() {
		parts := URL("https://www.example.com/pricing?utm_source=google&utm_medium=cpc" +
			"&utm_campaign=spring%20sale&gclid=EAIaIQob")
		agents.Read(chromePhone, false, "link")
		Channel(parts, ReferrerDomain("https://www.google.com/search?q=x", parts.Host))
	}
}
