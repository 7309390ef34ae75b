package enrich

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestURL(t *testing.T) {
	f := func(raw string, want Parts) {
		t.Helper()
		if got := URL(raw); got != want {
			t.Errorf("URL(%q)\n got %+v\nwant %+v", raw, got, want)
		}
	}
	f("", Parts{})
	f("https://Shop.Example.com", Parts{Host: "shop.example.com", Path: "/"})
	f("https://user:pw@www.example.com.:8443/A/b%20c?x=1#top", Parts{Host: "www.example.com", Path: "/A/b%20c"})
	f("http://[2001:DB8::1]:80/x", Parts{Host: "[2001:db8::1]", Path: "/x"})
	f("//example.com/x", Parts{Host: "example.com", Path: "/x"})
	f("example.com/x?utm_source=a", Parts{Host: "example.com", Path: "/x", UTM: UTM{Source: "a"}})
	f("example.com:8080/x", Parts{Host: "example.com", Path: "/x"})
	f("/only/path?utm_source=a", Parts{Path: "/only/path", UTM: UTM{Source: "a"}})
	f("myapp://open/x", Parts{Host: "open", Path: "/x"})
	f("https:\\\\example.com", Parts{Path: "https:\\\\example.com"})
	f("mailto:a@b.c", Parts{Path: "mailto:a@b.c"})
	f("https://münchen.example/x", Parts{Host: "münchen.example", Path: "/x"})
	f("https://a b/x", Parts{Path: "/x"})

	f("https://e.com/?utm_source=News&utm_medium=email&utm_campaign=spring+sale&utm_term=a%2Bb&utm_content=%C3%A9",
		Parts{Host: "e.com", Path: "/", UTM: UTM{"News", "email", "spring sale", "a+b", "é"}})
	// Repeated: the first that is not empty.
	f("https://e.com/?utm_source=&utm_source=%20&utm_source=b&utm_source=c",
		Parts{Host: "e.com", Path: "/", UTM: UTM{Source: "b"}})
	f("https://e.com/?UTM_Source=a&utm%5Fmedium=b&amp;utm_term=c", Parts{Host: "e.com", Path: "/",
		UTM: UTM{Source: "a", Medium: "b", Term: "c"}})
	f("https://e.com/?utm_sourcex=a&xutm_source=b&utm_source", Parts{Host: "e.com", Path: "/"})
	f("https://e.com/?utm_source=100%&utm_medium=%zz&utm_term=%e", Parts{Host: "e.com", Path: "/",
		UTM: UTM{Source: "100%", Medium: "%zz", Term: "%e"}})
	f("https://e.com/?utm_source=a%00b%0d%0ac", Parts{Host: "e.com", Path: "/", UTM: UTM{Source: "abc"}})
	f("https://e.com/#/p?utm_source=a", Parts{Host: "e.com", Path: "/", UTM: UTM{Source: "a"}})
	f("https://e.com/?utm_source=q#utm_source=f&utm_medium=m", Parts{Host: "e.com", Path: "/",
		UTM: UTM{Source: "q", Medium: "m"}})

	f("https://e.com/?gclid=G1", Parts{Host: "e.com", Path: "/", AdNetwork: "google", AdClickID: "G1"})
	f("https://e.com/?fbclid=F1&wbraid=W1&gbraid=B1", Parts{Host: "e.com", Path: "/", AdNetwork: "google",
		AdClickID: "B1"})
	f("https://e.com/?gclid=&fbclid=F1&fbclid=F2", Parts{Host: "e.com", Path: "/", AdNetwork: "meta", AdClickID: "F1"})
	f("https://e.com/?ScCid=S1", Parts{Host: "e.com", Path: "/", AdNetwork: "snapchat", AdClickID: "S1"})
	f("https://e.com/?irclickid=I", Parts{Host: "e.com", Path: "/", AdNetwork: "impact", AdClickID: "I"})
	f("https://e.com/?via=john&ref=footer", Parts{Host: "e.com", Path: "/", Affiliate: "john", Ref: "footer"})
}

func TestURLEveryClickID(t *testing.T) {
	for param, id := range clickIDs {
		got := URL("https://e.com/?a=b&" + param + "=value")
		if got.AdNetwork != id.network || got.AdClickID != "value" {
			t.Errorf("%s: %q %q, want network %q", param, got.AdNetwork, got.AdClickID, id.network)
		}
	}
	for _, param := range strings.Fields("gclid gbraid wbraid fbclid msclkid ttclid twclid li_fat_id rdt_cid") {
		if _, ok := clickIDs[param]; !ok {
			t.Errorf("%s is missing", param)
		}
	}
}

// Without consent the edge takes the value out of an id: the network stays known, and a whole id
// goes before.
func TestURLWithoutAdID(t *testing.T) {
	for query, want := range map[string]string{"gclid=": "google ", "gclid=&ttclid=t": "tiktok t",
		"ttclid=t&gclid=": "tiktok t"} {
		if p := URL("https://e.com/?" + query); p.AdNetwork+" "+p.AdClickID != want {
			t.Errorf("%s: %s %s, want %s", query, p.AdNetwork, p.AdClickID, want)
		}
	}
	if got := Channel(URL("https://e.com/?gclid="), ""); got != ChannelPaidSearch {
		t.Errorf("channel %s", got)
	}
}

func TestURLBounds(t *testing.T) {
	got := URL("https://e.com/" + strings.Repeat("ä", 3000) + "?utm_source=" + strings.Repeat("%C3%A4", 300))
	if len(got.Path) > maxPath || len(got.Source) > maxValue || !utf8.ValidString(got.Path) ||
		!utf8.ValidString(got.Source) {
		t.Errorf("path of %d bytes, source of %d bytes", len(got.Path), len(got.Source))
	}
	if URL("https://e.com/?utm_source="+strings.Repeat("a", 1<<20)).Host != "e.com" {
		t.Error("a long address loses its host")
	}
	if host := host("https://" + strings.Repeat("a", 300) + ".com/"); host != "" {
		t.Errorf("a host of 304 bytes is kept: %q", host)
	}
}

func FuzzURL(f *testing.F) {
	for _, seed := range []string{"https://user@e.com:80/p?utm_source=a&gclid=%zz#x", "//[::1", "?&&==&utm_term=%",
		"\xff\xfe://\x00", "a://b?c#d?utm_source=e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		parts := URL(raw)
		for _, text := range []string{parts.Host, parts.Path, parts.Source, parts.Medium, parts.Campaign, parts.Term,
			parts.Content, parts.AdClickID, parts.Affiliate, parts.Ref} {
			if !utf8.ValidString(text) || len(text) > maxPath || strings.ContainsAny(text, "\x00\n\r\t") {
				t.Fatalf("URL(%q) keeps %q", raw, text)
			}
		}
		if parts.AdNetwork == "" && parts.AdClickID != "" {
			t.Fatalf("URL(%q): network %q, id %q", raw, parts.AdNetwork, parts.AdClickID)
		}
		if parts.Host != host(raw) {
			t.Fatalf("URL(%q).Host = %q, Host = %q", raw, parts.Host, host(raw))
		}
		if again := host("https://" + parts.Host + "/"); again != parts.Host {
			t.Fatalf("host %q of %q becomes %q", parts.Host, raw, again)
		}
		domain := ReferrerDomain(raw, "")
		if Channel(parts, domain) == "" {
			t.Fatalf("no channel for %q", raw)
		}
	})
}

func BenchmarkURL(b *testing.B) {
	f := func(name, raw string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				URL(raw)
			}
		})
	}
	f("plain", "https://www.example.com/pricing/annual")
	f("tagged", "https://www.example.com/pricing?utm_source=google&utm_medium=cpc&utm_campaign=spring%20sale&utm_content=a1&gclid=EAIaIQobChMI8Y2f1qWFhQMV")
}
