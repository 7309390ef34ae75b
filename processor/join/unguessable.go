package join

import (
	"encoding/base32"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// A name must hold at least so many bits, as counted below. These limits refuse few of the ids that
// vendors make of 64 random bits or more, and every name that somebody made up of words and numbers
// in one case. People seldom mix capitals and small letters, so fewer bits are enough where both
// occur.
const (
	enoughBits  = 6700 // hundredths of a bit
	enoughMixed = 4500
)

var (
	randomUUID = regexp.MustCompile(
		`^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[47][0-9a-fA-F]{3}-?[89abAB][0-9a-fA-F]{3}-?[0-9a-fA-F]{12}$`)
	anyUUID  = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	plainHex = regexp.MustCompile(`^(?:0x)?[0-9a-fA-F]+$`)

	// Within a longer name: a UUID that is random, and what may be the hash of something known.
	withUUID = regexp.MustCompile(`(?:^|[^0-9A-Za-z])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[47][0-9a-fA-F]{3}-` +
		`[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}(?:[^0-9A-Za-z]|$)`)
	withHash = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}`)
	// The lengths of MD5, SHA-1, SHA-256 and SHA-512 in base64. Of the first two, ids of so many
	// characters are common where they are not padded.
	digest = regexp.MustCompile(`^(?:[\w+/-]{22}==|[\w+/-]{27}=|[\w+/-]{43}=?|[\w+/-]{86}(?:==)?)$`)
	// MD5, SHA-1 and SHA-256 in base32: the last character of the first and the third has but a few bits.
	digest32 = regexp.MustCompile(`^(?:(?:[A-Z2-7]{25}[AEIMQUY4]|[A-Z2-7]{32}|[A-Z2-7]{51}[AQ])=*|` +
		`(?:[a-z2-7]{25}[aeimquy4]|[a-z2-7]{32}|[a-z2-7]{51}[aq])=*)$`)
	// A time, a machine and a counter, as in an ObjectID (github.com/rs/xid): of the years 2004 to 2042.
	xid    = regexp.MustCompile(`^[89a-g][0-9a-v]{18}[0g]$`)
	prefix = regexp.MustCompile(`^(?:[a-z]+[0-9]*[_:.|-])+`) // says what kind of id it is

	token   = regexp.MustCompile(`[A-Za-z0-9]+`)
	segment = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+|[0-9]+`) // of a token: a word, a number, or a part of an id
	vowel   = regexp.MustCompile(`[aeiouyAEIOUY]`)
)

// Unguessable reports whether a name looks as if it held some 64 random bits, by its length and
// alphabet: a random UUID or a nanoid of 16 characters does; user_1042, 90210, an e-mail address or
// a slug of words does not. Neither does a UUID made of a time or a name (RFC 9562, versions 1, 3,
// 5 and 6), nor an id made of a time and a counter (ObjectID, xid). Hexadecimal digits, and base64
// or base32 as long as a hash, do not either: they may be the hash of something known. Text in
// base64 or base32 is judged by what it says. A prefix changes none of this, and adds no bits.
func Unguessable(name string) bool {
	name = strings.TrimSpace(name)
	switch {
	case strings.Contains(name, "@"):
		return false
	case randomUUID.MatchString(name):
		return true
	case anyUUID.MatchString(name), plainHex.MatchString(name):
		return false
	case withUUID.MatchString(name):
		return true
	}
	if rest := withHash.ReplaceAllString(name, ""); rest != name {
		return Unguessable(rest)
	}
	bare := prefix.ReplaceAllString(name, "")
	for _, part := range []string{name, bare} {
		if digest.MatchString(part) || digest32.MatchString(part) || xid.MatchString(part) {
			return false
		}
		if text, ok := decoded(part); ok {
			return Unguessable(text)
		}
	}
	found, bothCases := bits(bare)
	if bothCases { // a name that somebody made up is likelier where its prefix is a word, too
		return found >= enoughMixed && !words(bare, bothCases) && !words(name, bothCases)
	}
	return found >= enoughBits && !words(bare, bothCases)
}

// words reports whether a name is made of words and numbers for the most part, as JohnSmith1985 and
// summer_sale_2026_us_east are: people make up such names, and others guess them. A word has three
// letters or more, a vowel among them. Random ids that are written in one case have long runs of
// letters, so that there a word or number stands between separators.
func words(name string, bothCases bool) bool {
	all, inWords := 0, 0
	for _, t := range token.FindAllString(name, -1) {
		all += len(t)
		segments := segment.FindAllString(t, -1)
		for _, s := range segments {
			number := s[0] <= '9' && len(s) >= 2
			if (bothCases || len(segments) == 1) && (number || len(s) >= 3 && vowel.MatchString(s)) {
				inWords += len(s)
			}
		}
	}
	if bothCases {
		return 6*inWords >= 5*all
	}
	return 4*inWords >= 3*all
}

var withoutPadding = base32.StdEncoding.WithPadding(base32.NoPadding)

// decoded returns what a name says in base64 or base32, if that is printable text.
func decoded(name string) (string, bool) {
	trimmed := strings.TrimRight(name, "=")
	for _, decode := range []func(string) ([]byte, error){
		base64.RawStdEncoding.DecodeString,
		base64.RawURLEncoding.DecodeString,
		func(s string) ([]byte, error) { return withoutPadding.DecodeString(strings.ToUpper(s)) },
	} {
		text, err := decode(trimmed)
		if err == nil && len(text) > 0 && !slices.ContainsFunc(text, func(b byte) bool { return b < ' ' || b > '~' }) {
			return string(text), true
		}
	}
	return "", false
}

// bits estimates how many random bits a name holds, in hundredths, and reports whether it has both
// capitals and small letters. Each letter or digit counts by the size of the name's alphabet; but
// in a run of one kind (a word, a number) those after the second count half a bit, unless no word
// has such a letter behind the one before it. A name has no bits if it is too short, of a single
// kind, or mostly of digits (a number, a time).
func bits(name string) (found int, bothCases bool) {
	const lower, upper, digit = 0, 1, 2
	var count [3]int
	kind := func(c rune) int {
		switch {
		case c >= 'a' && c <= 'z':
			return lower
		case c >= 'A' && c <= 'Z':
			return upper
		case c >= '0' && c <= '9':
			return digit
		}
		return -1
	}
	for _, c := range name {
		if k := kind(c); k >= 0 {
			count[k]++
		}
	}
	bothCases = count[lower] > 0 && count[upper] > 0
	var each int // the logarithm of the alphabet's size
	switch letters := count[lower] + count[upper]; {
	case bothCases && count[digit] > 0:
		each = 595 // 62
	case bothCases:
		each = 570 // 52
	case letters > 0 && count[digit] > 0:
		each = 517 // 36
	}
	all := count[lower] + count[upper] + count[digit]
	if all*each < enoughBits || 5*count[digit] > 3*all {
		return 0, false
	}
	run, last := 0, -1
	for n, c := range name {
		k := kind(c)
		switch {
		case k != last:
			run, last = 0, k
		case (k == lower || k == upper) && unsaid(name[n-1]|' ', name[n]|' '): // in lower case
			run = min(run, 1)
		}
		switch run++; {
		case k < 0:
		case run <= 2:
			found += each
		default:
			found += 50
		}
	}
	return found, bothCases
}

// unsaid reports whether hardly any word of a European language has two letters beside each other.
func unsaid(a, b byte) bool {
	const rare, consonants = "jqvx", "bcdfghjkmnpqstvwxz"
	switch b {
	case 'x':
		return strings.IndexByte("bcdfghkmpstw", a) >= 0
	case 'q':
		return strings.IndexByte("bdfghkmptw", a) >= 0
	}
	return strings.IndexByte(rare, a) >= 0 && strings.IndexByte(consonants, b) >= 0 ||
		a == 'z' && strings.IndexByte("cfhjkmnpqsvwx", b) >= 0
}
