package clicks

import (
	"strings"
)

// encodesSecret reports whether a value holds a secret that is encoded: up to three encodings are
// read through, since a redirect within a redirect has two.
func encodesSecret(v string) bool {
	if strings.IndexByte(v, '%') < 0 {
		return holdsJWT(v)
	}
	var first, second [256]byte
	text, other := first[:0], second[:0]
	for range 3 {
		text, other = unescaped(other[:0], v), text
		v = b2s(text)
		if secretForm(v) || holdsEmail(v) || holdsJWT(v) || strings.IndexByte(v, '=') > 0 && holdsSecretParameter(v) ||
			strings.IndexByte(v, '/') >= 0 && holdsSecretSegment(v) {
			return true
		}
		if strings.IndexByte(v, '%') < 0 {
			return false
		}
	}
	return false
}

// secretForm reports whether the whole of v has the form of a secret: a key of Stripe's, a signed
// token (RFC 7519), a telephone number with its country (E.164), a bank account (ISO 13616), or an
// e-mail address in base64.
func secretForm(v string) bool {
	if len(v) < minSecret {
		return false
	}
	switch c := v[0]; {
	case c > 'w':
		return false
	case c > 'f': // no text in base64 begins so
		return (v[2] == '_' || v[4] == '_' || v[5] == '_') && stripeSecret(v)
	case c == '+' || c == ' ': // a plus sign in a query is a space
		return isPhone(v[1:])
	case c == 'e' && v[1] == 'y' && v[2] == 'J' && isJWT(v):
		return true
	case 'A' <= c && c <= 'Z' && isIBAN(v):
		return true
	}
	return len(v) >= minBase64 && base64Email(v)
}

// stripeSecret reports whether v is a key of Stripe's, or what lets a browser see a payment.
func stripeSecret(v string) bool {
	for _, prefix := range [...]string{"sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"} {
		if strings.HasPrefix(v, prefix) {
			return true
		}
	}
	return (strings.HasPrefix(v, "pi_") || strings.HasPrefix(v, "seti_")) && strings.Contains(v, "_secret_")
}

// isPhone reports whether s is 8 to 15 digits, which may be grouped.
func isPhone(s string) bool {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
		case c != ' ' && c != '+' && c != '-' && c != '.' && c != '(' && c != ')' && c != '/':
			return false
		}
	}
	return digits >= 8 && digits <= 15
}

// isIBAN reports whether s is a bank account's number, which may be grouped: country, check digits,
// and up to 30 letters and digits of which the remainder is right (ISO 7064, MOD 97-10).
func isIBAN(s string) bool {
	if s[1] < 'A' || s[1] > 'Z' || s[2]-'0' > 9 || s[3]-'0' > 9 {
		return false
	}
	remainder, length := 0, 0
	for i := range len(s) {
		switch c := s[(i+4)%len(s)]; { // the first four are read last
		case '0' <= c && c <= '9':
			remainder, length = (remainder*10+int(c-'0'))%97, length+1
		case 'A' <= c && c <= 'Z':
			remainder, length = (remainder*100+int(c-'A')+10)%97, length+1
		case c != ' ' && c != '+':
			return false
		}
	}
	return length >= 15 && length <= 34 && remainder == 1
}

// isJWT reports whether s begins with a signed or encrypted token (RFC 7515, RFC 7516): three or
// five parts in base64url with points between them.
func isJWT(s string) bool {
	_, points := tokenRun(s)
	return points >= 2
}

// tokenRun returns how many bytes at the beginning of s a token may consist of, and how many of
// them are points.
func tokenRun(s string) (length, points int) {
	for ; length < len(s); length++ {
		switch c := s[length]; {
		case c == '.':
			points++
		case !isAlphanumeric(c) && c != '-' && c != '_':
			return length, points
		}
	}
	return length, points
}

// holdsJWT reports whether a signed token stands somewhere in s, as in "Bearer eyJ…". No byte is
// looked at twice: within a run that has too few points no later part has more.
func holdsJWT(s string) bool {
	for {
		at := strings.Index(s, "eyJ")
		if at < 0 {
			return false
		}
		length, points := tokenRun(s[at:])
		if points >= 2 {
			return true
		}
		s = s[at+length:]
	}
}

// holdsEmail reports whether an e-mail address stands somewhere in s. Versions of packages
// (react@18.2.0) are none: no top-level domain begins with a digit.
func holdsEmail(s string) bool {
	for from := 0; ; from++ {
		at := strings.IndexByte(s[from:], '@')
		if at < 0 {
			return false
		}
		if from += at; from == 0 || !inLocalPart(s[from-1]) {
			continue
		}
		end := from + 1
		for end < len(s) && (isAlphanumeric(s[end]) || s[end] == '-' || s[end] == '.' || s[end] >= 0x80) {
			end++
		}
		domain := strings.TrimRight(s[from+1:end], ".")
		if point := strings.LastIndexByte(domain, '.'); point > 0 && len(domain)-point > 2 && domain[point+1] > '9' {
			return true
		}
	}
}

// inLocalPart reports whether c may be the last byte before the @ of an e-mail address (RFC 5322,
// atext, and UTF-8). A separator within an address of a page is no such byte:
// https://social.example/@anna.lena is a page.
func inLocalPart(c byte) bool {
	return isAlphanumeric(c) || c >= 0x80 || strings.IndexByte("!#$'*+-^_`{|}~.\"", c) >= 0
}

// base64Digits are the values of the digits of base64 (RFC 4648, both alphabets), 64 of other
// bytes.
var base64Digits = func() (digits [256]uint8) {
	for i := range digits {
		digits[i] = 64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		digits[c] = uint8(i)
	}
	digits['-'], digits['_'] = digits['+'], digits['/']
	return digits
}()

// minBase64 is how many bytes an e-mail address in base64 has at least.
const minBase64 = 12

// base64Email reports whether v is text in base64 that holds an e-mail address. Most words are not:
// their first letters make a byte that is no ASCII.
func base64Email(v string) bool {
	const longest = 512
	at, bits, n, end := false, uint32(0), 0, 0
	for ; end < len(v) && end < longest && base64Digits[v[end]] < 64; end++ {
		if bits, n = bits<<6|uint32(base64Digits[v[end]]), n+6; n < 8 {
			continue
		}
		n -= 8
		c := byte(bits >> n)
		if c < ' ' || c == 0x7f || end < 2 && c > 0x7f {
			return false
		}
		at = at || c == '@'
	}
	return at && end >= minBase64 && holdsEmail(base64Text(v[:end]))
}

// base64Text returns the text of digits of base64.
func base64Text(digits string) string {
	text, bits, n := make([]byte, 0, len(digits)), uint32(0), 0
	for i := range len(digits) {
		if bits, n = bits<<6|uint32(base64Digits[digits[i]]), n+6; n >= 8 {
			n -= 8
			text = append(text, byte(bits>>n))
		}
	}
	return b2s(text)
}
