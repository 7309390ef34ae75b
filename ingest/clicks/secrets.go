package clicks

import (
	"bytes"
	"strings"
)

// exactSecrets are names of parameters that hold secrets or personal data, in lower case, without
// '-' and '_'.
var exactSecrets = map[string]bool{
	"auth": true, "authorization": true, "bearer": true, "code": true, "authcode": true, "oauthverifier": true,
	"otp": true, "pin": true, "pincode": true, "passcode": true, "jwt": true, "sid": true, "session": true, "sess": true,
	"sig": true, "hmac": true, "pass": true, "pwd": true, "magic": true, "nonce": true, "ticket": true,
	"assertion": true, "samlresponse": true, "samlrequest": true, "relaystate": true, "credentials": true,
	"csrf": true, "xsrf": true, "loginhint": true, "username": true, "login": true,
	"mail": true, "tel": true, "mobile": true, "cell": true, "msisdn": true, "ssn": true,
	"iban": true, "bic": true, "accountnumber": true, "cardnumber": true, "cvc": true, "cvv": true,
	"firstname": true, "lastname": true, "fullname": true, "fname": true, "lname": true, "surname": true,
	"givenname": true, "familyname": true, "address": true, "street": true,
	"dob": true, "birthday": true, "birthdate": true,
	"ke": true, "kx": true, // Klaviyo's: the reader's address, and who they are
}

// secretParts make a name that contains one of them secret, such as csrf_token, X-Amz-Signature or
// user[email].
var secretParts = []string{
	"token", "secret", "passw", "email", "phone", "apikey", "accesskey", "privatekey", "signature", "credential",
	"sessionid", "sessid",
}

// harmless reports whether a parameter's name is one of those that most addresses of clicks have:
// looked for first, since the rest of secretName costs more than all other work on an address.
func harmless(name string) bool {
	switch name {
	case "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
		"gclid", "gbraid", "wbraid", "gad_source", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id",
		"dub_id", "pimms_id", "via", "ref", "aff", "fpr", "fp_ref", "source", "q", "page", "id", "lang":
		return true
	}
	return false
}

// secretName reports whether a parameter of this name is dropped.
func secretName(name string) bool {
	var plain, buf [64]byte
	name = name[:min(len(name), len(plain))]
	if strings.IndexByte(name, '%') >= 0 {
		name = b2s(unescaped(plain[:0], name))
	}
	folded := fold(buf[:0], name)
	if exactSecrets[b2s(folded[bytes.LastIndexByte(folded, '[')+1:])] { // user[pin]
		return true
	}
	for _, part := range secretParts {
		if strings.Contains(b2s(folded), part) {
			return true
		}
	}
	return false
}

// fold appends a name to to in lower case, without '-', '_' and ']'.
func fold(to []byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == ']':
		case 'A' <= c && c <= 'Z':
			to = append(to, c|0x20)
		default:
			to = append(to, c)
		}
	}
	return to
}

// isOdd reports whether a value within s may be percent-encoded or hold an e-mail address: one look
// at a whole query costs less than one at each value.
func isOdd(s string) bool { return strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '@') >= 0 }

// isSecret reports whether a parameter is dropped by its name or by its value.
func isSecret(parameter string, odd bool) bool {
	name, value, ok := strings.Cut(parameter, "=")
	if !ok {
		return secretValue(name, odd)
	}
	return value != "" && (!harmless(name) && secretName(name) || secretValue(value, odd))
}

// minSecret is how many bytes the shortest secret has that is known by its form: a@b.de.
const minSecret = 6

// secretValue reports whether a value, as it stands in an address, is or holds a secret.
func secretValue(v string, odd bool) bool {
	return secretForm(v) || odd && (holdsEmail(v) || encodesSecret(v))
}

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

// tokenRun returns how many bytes at the beginning of s a token may consist of, and how many of them
// are points.
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

// inLocalPart reports whether c may be the last byte before the @ (RFC 5322, atext, and UTF-8).
// What separates parts of an address is none: https://social.example/@anna.lena is a page.
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

// holdsSecretParameter reports whether one of the parameters in the query of an address within a
// value, or of a path's segment, is a secret.
func holdsSecretParameter(text string) bool {
	for rest := ";" + text; rest != ""; {
		end := parameterEnd(rest)
		if name, value, ok := strings.Cut(rest[1:end], "="); ok && value != "" && !harmless(name) && secretName(name) {
			return true
		}
		rest = rest[end:]
	}
	return false
}

// minRandom is how many bytes a segment has at least that is a random text.
const minRandom = 16

// mayHoldSecret reports whether the path of an address may have something to drop: nearly none has.
// A host has nothing, and a short path is looked at soonest byte by byte.
func mayHoldSecret(address string) bool {
	path := address
	if at := strings.Index(address, "://"); at >= 0 {
		path = path[at+len("://"):]
		path = path[max(0, strings.IndexByte(path, '/')):]
	}
	length, random := 0, false
	for i := range len(path) {
		length++
		switch c := path[i]; {
		case c >= 'a' || c == '-' || c == '.':
		case c == '/':
			length, random = 0, false
		case c == '@' || c == '%' || c == ';' || c == '+' || c == '(':
			return true
		default: // a digit, say
			random = true
		}
		if random && length >= minRandom {
			return true
		}
	}
	return false
}

// accountWords are segments of a path behind which a random text opens an account, folded.
var accountWords = map[string]bool{
	"reset": true, "recover": true, "recovery": true, "unlock": true, "verify": true, "verification": true,
	"confirm": true, "confirmation": true, "activate": true, "activation": true, "invite": true, "invitation": true,
	"invitations": true, "invites": true, "accept": true, "magic": true, "magiclink": true, "signin": true, "sso": true,
	"unsubscribe": true, "optout": true,
}

// opensAccount reports whether one of the segments of a path says that a random text behind it
// opens an account.
func opensAccount(path string) bool {
	for path != "" {
		var segment string
		var buf [64]byte
		segment, path, _ = strings.Cut(path, "/")
		if len(segment) <= len(buf) && (accountWords[b2s(fold(buf[:0], segment))] || secretName(segment)) {
			return true
		}
	}
	return false
}

// account says of a path, from its beginning to its end, where random texts open an account. Each
// segment is looked at once, however many random ones there are.
type account struct {
	read  int // bytes of the path
	opens bool
}

// opensBehind reports whether a segment before the place start says that a random text opens an
// account. start never goes back.
func (a *account) opensBehind(path string, start int) bool {
	a.opens = a.opens || opensAccount(path[a.read:start])
	a.read = start
	return a.opens
}

// secretSegment reports whether the segment at the place start of a path is dropped.
func secretSegment(path, segment string, start int, a *account) bool {
	// Sessions without cookies of ASP.NET: /(S(lit3py55t21z5v55vlm25s55))/.
	return len(segment) >= minSecret && segment[0] == '(' && segment[2] == '(' && strings.HasSuffix(segment, "))") ||
		secretValue(segment, true) || isRandom(segment) && a.opensBehind(path, start)
}

// holdsSecretSegment reports whether a path, which is not encoded, has a segment that is a secret.
func holdsSecretSegment(path string) bool {
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	var a account
	for start := 0; start < len(path); {
		stop := len(path)
		if slash := strings.IndexByte(path[start:], '/'); slash >= 0 {
			stop = start + slash
		}
		if s := path[start:stop]; secretForm(s) || isRandom(s) && a.opensBehind(path, start) {
			return true
		}
		start = stop + 1
	}
	return false
}

// isRandom reports whether a segment may be a random text: long, and of a word of letters and
// digits that no title has (pricing-for-teams-of-10).
func isRandom(segment string) bool {
	if len(segment) < minRandom {
		return false
	}
	const word = 8
	letters, digits, mixed := 0, 0, false
	for i := range len(segment) {
		switch c := segment[i]; {
		case '0' <= c && c <= '9':
			digits++
		case isAlphanumeric(c):
			letters++
		case c == '-' || c == '_' || c == '.' || c == '~' || c == '=' || c == ':' || c == '%':
			letters, digits = 0, 0
		default:
			return false
		}
		mixed = mixed || letters > 0 && digits > 0 && letters+digits >= word
	}
	return mixed
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// unescaped appends s to to, with its percent escapes decoded. A broken escape stands for itself.
func unescaped(to []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := hexDigit(s[i+1]), hexDigit(s[i+2]); high < 16 && low < 16 {
				to = append(to, high<<4|low)
				i += 2
				continue
			}
		}
		to = append(to, s[i])
	}
	return to
}

// hexDigit returns the value of a hexadecimal digit, 16 for another byte.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}
