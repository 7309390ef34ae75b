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

// minSecret is the length in bytes of the shortest value that is known as a secret by its form:
// a@b.de.
const minSecret = 6

// secretValue reports whether a value, as it stands in an address, is or holds a secret.
func secretValue(v string, odd bool) bool {
	return secretForm(v) || odd && (holdsEmail(v) || encodesSecret(v))
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

// mayHoldSecret reports whether the path of an address may have something to drop. Hardly any path
// has, and byte by byte is the fastest way to look through a short one.
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
