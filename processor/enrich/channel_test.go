package enrich

import "testing"

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
	f := func(query, referrer, want string) {
		t.Helper()
		parts := URL("https://shop.example/?" + query)
		if got := Channel(parts, ReferrerDomain(referrer, parts.Host)); got != want {
			t.Errorf("channel of %q from %q = %s, want %s", query, referrer, got, want)
		}
	}
	f("", "", ChannelDirect)
	f("", "https://shop.example/other", ChannelDirect)
	f("", "https://www.google.com/", ChannelOrganicSearch)
	f("", "https://www.google.co.uk/", ChannelOrganicSearch)
	f("", "https://google.com.br/", ChannelOrganicSearch)
	f("", "https://yandex.ru/", ChannelOrganicSearch)
	f("", "https://google.evil.com/", ChannelReferral)
	f("", "https://notgoogle.com/", ChannelReferral)
	f("", "https://blog.example.x/", ChannelReferral)
	f("", "android-app://com.google.android.googlequicksearchbox/", ChannelOrganicSearch)
	f("", "https://mail.google.com/", ChannelEmail)
	f("", "https://mail.yandex.ru/", ChannelEmail)
	f("", "https://mail.yandex.com.tr/", ChannelEmail)
	f("", "https://gemini.google.com/app", ChannelAI)
	f("", "https://chatgpt.com/", ChannelAI)
	f("utm_source=chatgpt.com", "", ChannelAI)
	f("utm_source=chatgpt.com", "https://friend.example/", ChannelAI)
	f("", "https://l.facebook.com/", ChannelOrganicSocial)
	f("", "https://t.co/x", ChannelOrganicSocial)
	f("", "https://x.com/", ChannelOrganicSocial)
	f("", "https://netflix.com/", ChannelReferral)
	f("", "https://friend.example/", ChannelReferral)

	f("gclid=1", "https://www.google.com/", ChannelPaidSearch)
	f("gclid=1&utm_medium=email", "", ChannelPaidSearch)
	f("gclid=1&utm_medium=display", "", ChannelDisplay)
	f("dclid=1", "", ChannelDisplay)
	f("ttclid=1", "", ChannelPaidSocial)
	f("msclkid=1", "", ChannelPaidSearch)
	// Facebook marks unpaid links too.
	f("fbclid=1", "https://l.facebook.com/", ChannelOrganicSocial)
	f("fbclid=1", "", ChannelOrganicSocial)
	f("fbclid=1&utm_medium=cpc", "", ChannelPaidSocial)
	f("fbclid=1&utm_medium=paid&utm_source=ig", "", ChannelPaidSocial)
	f("fbclid=1&utm_source=newsletter&utm_medium=email", "", ChannelEmail)

	f("utm_source=google&utm_medium=cpc", "", ChannelPaidSearch)
	f("utm_source=Facebook&utm_medium=CPC", "", ChannelPaidSocial)
	f("utm_source=linkedin&utm_medium=cpm", "", ChannelPaidSocial)
	f("utm_source=taboola&utm_medium=cpc", "", ChannelDisplay)
	f("utm_source=friend&utm_medium=cpc", "", ChannelOther)
	f("utm_medium=paid_social", "", ChannelPaidSocial)
	f("utm_medium=sem", "", ChannelPaidSearch)
	f("utm_medium=banner", "", ChannelDisplay)
	f("utm_source=x&utm_medium=email", "https://www.google.com/", ChannelEmail)
	f("utm_source=newsletter", "", ChannelEmail)
	f("utm_source=facebook&utm_medium=social", "", ChannelOrganicSocial)
	f("utm_medium=organic", "", ChannelOrganicSearch)
	f("utm_source=chatgpt.com&utm_medium=referral", "", ChannelAI)
	f("utm_medium=referral", "", ChannelReferral)
	f("utm_medium=sms", "", ChannelOther)
	f("utm_source=spring", "", ChannelOther)
	f("utm_source=spring", "https://friend.example/", ChannelReferral)
	f("utm_campaign=spring", "", ChannelOther)
	f("ref=producthunt", "", ChannelOrganicSocial)

	f("via=john", "https://www.google.com/", ChannelAffiliate)
	f("via=john&gclid=1", "", ChannelAffiliate)
	f("utm_medium=affiliate", "", ChannelAffiliate)
	f("irclickid=1", "", ChannelAffiliate)
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
