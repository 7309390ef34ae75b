package enrich

import "strings"

// The channels, as they stand in the column channel.
const (
	ChannelDirect        = "direct"
	ChannelOrganicSearch = "organic_search"
	ChannelPaidSearch    = "paid_search"
	ChannelOrganicSocial = "organic_social"
	ChannelPaidSocial    = "paid_social"
	ChannelEmail         = "email"
	ChannelAffiliate     = "affiliate"
	ChannelReferral      = "referral"
	ChannelAI            = "ai"
	ChannelDisplay       = "display"
	ChannelOther         = "other"
)

// ReferrerDomain returns the domain of a referrer in lower case without "www.", or "" when there is
// none or when it is the site itself. siteHost is the host of the click's own address (Parts.Host),
// "" when unknown. Subdomains are other places than their parent: which of them belong together
// only the site's owner knows. Referrers of Android apps (android-app://com.example) give the
// package name.
func ReferrerDomain(raw, siteHost string) string {
	domain := withoutWWW(Host(raw))
	if domain == withoutWWW(strings.ToLower(siteHost)) {
		return ""
	}
	return domain
}

func withoutWWW(host string) string { return strings.TrimPrefix(host, "www.") }

// classify finds the class of a domain or of a utm_source, already in lower case.
func classify(name string) class {
	for suffix := name; suffix != ""; {
		if c, ok := domainClasses[suffix]; ok {
			// "x" and "fb" are sources; as the last label of a domain (example.x) they mean
			// nothing.
			if len(suffix) == len(name) || strings.Contains(suffix, ".") {
				return c
			}
		}
		label, rest, found := strings.Cut(suffix, ".")
		if !found {
			return classNone
		}
		if isPublicEnding(rest) {
			// "mail.yandex.*" has two labels before the ending, "google.*" one; the longer one is
			// tried first because the loop walks from the longest suffix to the shortest.
			if c, ok := domainClasses[label+".*"]; ok {
				return c
			}
		} else if second, ending, ok := strings.Cut(rest, "."); ok && isPublicEnding(ending) {
			if c, ok := domainClasses[label+"."+second+".*"]; ok {
				return c
			}
		}
		suffix = rest
	}
	return classNone
}

// isPublicEnding reports whether s looks like what a country or a registry adds to a name: "de",
// "com", "co.uk", "com.br". A list of all endings would be more exact, but a search engine's name
// in front of anything else (google.evil.com) is what has to be told apart, and that it does.
func isPublicEnding(s string) bool {
	first, second, two := strings.Cut(s, ".")
	if !two {
		return len(first) >= 2 && len(first) <= 3
	}
	return len(second) == 2 && (first == "co" || first == "com")
}

// Channel says by what kind of way a click came. parts are those of its address, referrerDomain is
// the answer of ReferrerDomain. Who knows the affiliate from elsewhere sets parts.Affiliate before.
//
// Proof goes before claims, and claims before guesses: an affiliate's mark; the id of an
// advertising network, refined by utm_medium; utm_medium, with utm_source to tell search from
// social; utm_source; the referrer.
func Channel(parts Parts, referrerDomain string) string {
	medium := strings.ToLower(parts.Medium)
	source := strings.ToLower(parts.Source)
	if source == "" {
		source = strings.ToLower(parts.Ref)
	}
	sourceClass := classify(withoutWWW(source))
	referrerClass := classify(referrerDomain)
	network := networkClasses[parts.AdNetwork]
	kind := mediumKind(medium)

	if parts.Affiliate != "" || network == classAffiliate || kind == kindAffiliate {
		return ChannelAffiliate
	}
	switch network {
	case classSearch, classDisplay, classSocial:
		if kind == kindDisplay {
			return ChannelDisplay
		}
		return paid(network)
	}
	place := sourceClass
	if place == classNone {
		place = referrerClass
	}
	if place == classNone && network == classShared {
		place = classSocial
	}
	switch kind {
	case kindSearchAd:
		return ChannelPaidSearch
	case kindSocialAd:
		return ChannelPaidSocial
	case kindDisplay:
		// Networks of people sell by the view as well; their advertisements are theirs before they
		// are banners.
		if place == classSocial && medium == "cpm" {
			return ChannelPaidSocial
		}
		return ChannelDisplay
	case kindPaid:
		return paid(place)
	case kindEmail:
		return ChannelEmail
	case kindSocial:
		return ChannelOrganicSocial
	case kindOrganic:
		if place == classNone {
			return ChannelOrganicSearch
		}
		return unpaid(place)
	case kindMessage:
		return ChannelOther
	case kindReferral:
		if place == classNone {
			return ChannelReferral
		}
		return unpaid(place)
	}
	if place != classNone {
		return unpaid(place)
	}
	switch {
	case referrerDomain != "":
		return ChannelReferral
	case source != "" || medium != "" || parts.Campaign != "":
		return ChannelOther // tagged by somebody, in words that say nothing
	}
	return ChannelDirect
}

func paid(c class) string {
	switch c {
	case classSearch:
		return ChannelPaidSearch
	case classSocial:
		return ChannelPaidSocial
	case classDisplay:
		return ChannelDisplay
	}
	// Paid for, at a place that is neither: an advertisement in a newsletter or on a friend's site.
	return ChannelOther
}

func unpaid(c class) string {
	switch c {
	case classSearch:
		return ChannelOrganicSearch
	case classSocial:
		return ChannelOrganicSocial
	case classAI:
		return ChannelAI
	case classEmail:
		return ChannelEmail
	case classDisplay:
		return ChannelDisplay
	}
	return ChannelReferral
}

type mediumKindOf uint8

const (
	kindNone mediumKindOf = iota
	kindSearchAd
	kindSocialAd
	kindDisplay
	kindPaid
	kindEmail
	kindSocial
	kindOrganic
	kindReferral
	kindAffiliate
	kindMessage
)

// mediumKind reads utm_medium, in lower case. The words are those of Google Analytics' "Default
// channel group", which most campaign builders follow, and their spellings in the wild.
func mediumKind(medium string) mediumKindOf {
	switch medium {
	case "":
		return kindNone
	case "sem", "paidsearch", "paid_search", "paid-search", "paid search", "search_ad":
		return kindSearchAd
	case "paidsocial", "paid_social", "paid-social", "paid social", "social_ad", "cpc_social", "social_paid",
		"social-paid":
		return kindSocialAd
	case "display", "banner", "expandable", "interstitial", "cpm", "programmatic", "native", "gdn":
		return kindDisplay
	case "cpc", "ppc", "cpa", "cpv", "retargeting", "remarketing", "ads", "ad", "sponsored", "sponsorship":
		return kindPaid
	case "email", "e-mail", "e_mail", "e mail", "newsletter", "mail":
		return kindEmail
	case "social", "social-network", "social-media", "social_media", "sm", "social network", "social media",
		"organic_social", "organic-social", "organicsocial":
		return kindSocial
	case "organic", "organic_search", "organic-search", "organicsearch":
		return kindOrganic
	case "referral", "app", "link":
		return kindReferral
	case "affiliate", "affiliates", "affiliation", "partner", "partners", "partnership":
		return kindAffiliate
	case "sms", "push", "webpush", "notification", "mobile", "whatsapp", "audio", "podcast", "qr", "qrcode", "print",
		"offline":
		return kindMessage
	}
	if strings.HasPrefix(medium, "paid") {
		return kindPaid
	}
	return kindNone
}
