package enrich

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

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
	domain := withoutWWW(host(raw))
	if domain == withoutWWW(strings.ToLower(siteHost)) {
		return ""
	}
	return domain
}

func withoutWWW(host string) string { return strings.TrimPrefix(host, "www.") }

// classify finds the class of a domain or of a utm_source, already in lower case. The longest match
// wins: the loop walks from the whole name to its last label.
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
		if (label == "mail" || label == "webmail") && len(suffix) == len(name) && strings.Contains(rest, ".") {
			return classEmail // of any provider
		}
		// "mail.yandex.*" has two labels before the ending, "google.*" one.
		if second, ending, ok := strings.Cut(rest, "."); ok {
			two := suffix[:len(label)+1+len(second)]
			if c, ok := anyEndingClasses[two]; ok && isPublicEnding(ending) {
				return c
			}
		}
		if c, ok := anyEndingClasses[label]; ok && isPublicEnding(rest) {
			return c
		}
		suffix = rest
	}
	return classNone
}

// classOfSource finds the class of a utm_source in lower case: a domain or an address, or a word in
// common use with or without others behind it (facebook_mobile_feed).
func classOfSource(source string) class {
	if strings.Contains(source, ".") {
		return classify(withoutWWW(host(source)))
	}
	return byBeginning(domainClasses, source)
}

// byBeginning returns the value of the longest beginning of whole words that the table has, the
// zero value if it has none. A single letter (x) must stand alone.
func byBeginning[V any](table map[string]V, words string) (none V) {
	words = words[:min(len(words), 64)]
	for end := len(words); end > 1 || end == len(words); end = strings.LastIndexAny(words[:end], "_- ,;:|/+&") {
		if value, ok := table[words[:end]]; ok {
			return value
		}
	}
	return none
}

// isPublicEnding reports whether s is what a registry adds to a name: "de", "com", "co.uk". What a
// company lets its customers add (github.io) is not, so that google.github.io is not the search
// engine.
func isPublicEnding(s string) bool {
	ending, registry := publicsuffix.PublicSuffix(s)
	return registry && ending == s
}

// Channel says by what kind of way a click came. parts are those of its address, referrerDomain is
// the answer of ReferrerDomain. Who knows the affiliate from elsewhere sets parts.Affiliate before.
//
// Proof goes before claims, and claims before guesses: an affiliate's mark; the id of an
// advertising network, refined by utm_medium; utm_medium, with utm_source to distinguish search
// from social; utm_source; the referrer. A referrer to which the site itself had sent the visitor,
// to pay or to log in, says nothing.
func Channel(parts Parts, referrerDomain string) string {
	medium := strings.ToLower(parts.Medium)
	source := strings.ToLower(parts.Source)
	if source == "" {
		source = strings.ToLower(parts.Ref)
	}
	sourceClass := classOfSource(source)
	referrerClass := classify(referrerDomain)
	if referrerClass == classReturn {
		referrerClass, referrerDomain = classNone, ""
	}
	network := networkClasses[parts.AdNetwork]
	kind := kindOfMedium(medium)

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
	if channel := channelOfMedium(kind, medium, place); channel != "" {
		return channel
	}
	switch {
	case place != classNone:
		return unpaid(place)
	case referrerDomain != "":
		return ChannelReferral
	case source != "" || medium != "" || parts.Campaign != "":
		return ChannelOther // tagged by somebody, in words that say nothing
	}
	return ChannelDirect
}

// channelOfMedium returns the channel that a utm_medium of the given kind names where the visitor
// comes from a place of the given class; "" if it names none.
func channelOfMedium(kind mediumKind, medium string, place class) string {
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
	case kindAI:
		return ChannelAI
	case kindReferral:
		if place == classNone {
			return ChannelReferral
		}
		return unpaid(place)
	}
	return ""
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

// mediumKind is what utm_medium says about the way of a click.
type mediumKind string

const (
	kindNone      mediumKind = ""
	kindSearchAd  mediumKind = "search_ad"
	kindSocialAd  mediumKind = "social_ad"
	kindDisplay   mediumKind = "display"
	kindPaid      mediumKind = "paid"
	kindEmail     mediumKind = "email"
	kindSocial    mediumKind = "social"
	kindOrganic   mediumKind = "organic"
	kindReferral  mediumKind = "referral"
	kindAffiliate mediumKind = "affiliate"
	kindMessage   mediumKind = "message"
	kindAI        mediumKind = "ai"
)

// kindOfMedium reads utm_medium, in lower case, with or without words of the site's own behind it
// (cpc_brand).
func kindOfMedium(medium string) mediumKind {
	if kind := byBeginning(mediumKinds, medium); kind != kindNone {
		return kind
	}
	if strings.HasPrefix(medium, "paid") {
		return kindPaid
	}
	return kindNone
}
