package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// minSecretBytes is the least length of a secret that people choose: secret keys and the keys of
// hashes.
const minSecretBytes = 16

// CheckSecret returns why a secret must not be used; the message does not repeat it.
func CheckSecret(secret string) error {
	switch {
	case strings.ContainsFunc(secret, notInKey):
		return errors.New("it holds a space or a character that cannot be seen (hint: `openssl rand -hex 32`)")
	case IsPlaceholder(secret):
		return errPlaceholder
	case len(secret) < minSecretBytes:
		return fmt.Errorf("its %d bytes can be guessed "+
			"(hint: at least %d; `openssl rand -hex 32`)", len(secret), minSecretBytes)
	}
	return nil
}

var errPlaceholder = errors.New("it is what stands in an example in the place of a secret, " +
	"which anybody can read (hint: `openssl rand -hex 32`)")

// unfilled is a name that something was to be put in the place of, by a person or a program. The
// brackets alone are also in passwords and in bytes at random. EDIT stands in deploy/kubernetes.
var unfilled = regexp.MustCompile(`^[\w-]*(<[\w .-]+>|\$\{[^{}]+\}|\{\{[^{}]+\}\})$|(…|\.\.\.)$` +
	`|(^|[^[:alnum:]])EDIT([^[:alnum:]]|$)`)

// IsPlaceholder reports whether a secret is what somebody else should have put another in the place
// of: words of an example, or a variable that no program has filled in. Of secrets of 32 bytes at
// random, one in some millions is refused: it holds such a word between two signs, or ends in dots.
func IsPlaceholder(secret string) bool {
	if unfilled.MatchString(secret) {
		return true
	}
	words := strings.FieldsFunc(strings.ToLower(secret), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	for i, word := range words {
		switch word {
		case "your", "here", "changeme", "changeit", "replaceme", "placeholder", "todo", "fixme", "redacted":
			return true
		case "me", "this", "it":
			if i > 0 && (words[i-1] == "change" || words[i-1] == "replace") {
				return true
			}
		}
		if len(word) >= 8 && strings.Trim(word, "x") == "" {
			return true
		}
	}
	return false
}

// CheckSecretKey returns why a secret must not be a workspace's secret key. A publishable key
// stands in pages: as a secret one it would make a backend of everybody.
func CheckSecretKey(key string) error {
	if hasPrefix(key, "pk_", "dub_pk_") {
		return errors.New("it is a publishable key, which anybody can read in a page " +
			"(hint: publishable_keys; a secret key begins with sk_)")
	}
	if hasPrefix(key, "whsec_") {
		return errors.New("it is the signing secret of a webhook (hint: stripe; a secret key begins with sk_)")
	}
	return CheckSecret(key)
}

// checkPublishableKey returns why a key must not stand in pages; the message does not repeat a
// secret.
func checkPublishableKey(key string) error {
	switch {
	case hasPrefix(key, "sk_", "rk_", "whsec_"):
		return errors.New("it is a secret, and would stand in pages (hint: secret_keys; a publishable key begins with pk_)")
	case key == "" || len(key) > maxKeyBytes || strings.ContainsFunc(key, notInKey):
		return fmt.Errorf("%q is empty, longer than %d bytes or has spaces in it (hint: pk_…)", key, maxKeyBytes)
	}
	return nil
}

func hasPrefix(key string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// CheckEmailKey returns why key cannot be the key of the hashes of e-mail addresses. fallback are
// the workspaces with email_fallback, which need one.
func CheckEmailKey(key string, fallback []string) error {
	if key == "" && len(fallback) > 0 {
		return fmt.Errorf("email key: email_fallback of workspace %q needs the key of the hashes "+
			"(hint: --email-key-file, the same for ingest and processor)", fallback[0])
	}
	if key == "" {
		return nil
	}
	if err := CheckSecret(key); err != nil {
		return fmt.Errorf("email key: %w", err)
	}
	return nil
}

// minSigningSecret is a length, in bytes, below that of every secret that Stripe makes. A secret
// that was left empty or cut off is refused by it: with an empty one everybody could sign.
const minSigningSecret = 8

// CheckSigningSecret returns why a signing secret of a Stripe webhook endpoint must not be used;
// the message does not repeat it. Stripe signs with nothing that does not begin with whsec_
// (https://docs.stripe.com/webhooks): with the words of another file in its place each event would
// be refused, and after some days Stripe would send none.
func CheckSigningSecret(secret string) error {
	switch {
	case !hasPrefix(secret, "whsec_"):
		return errors.New("it does not begin with whsec_ as Stripe's signing secrets do " +
			"(hint: Stripe shows it beside the webhook endpoint; it is no API key)")
	case IsPlaceholder(secret):
		return errors.New("it is what stands in an example in the place of a secret " +
			"(hint: Stripe shows it beside the webhook endpoint)")
	case len(secret) < minSigningSecret || strings.ContainsFunc(secret, notInKey):
		return errors.New("it is very short or has spaces in it (hint: whsec_…, as Stripe shows it)")
	}
	return nil
}

// Secrets returns a list of secrets, which may be given themselves or by a file that holds them,
// separated by commas or white space.
func Secrets(name string, values []string, file string) ([]string, error) {
	text, err := Secret(name, strings.Join(values, ","), file)
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }), err
}

// SecretDigest identifies a signing secret without repeating it: 16 hexadecimal digits.
func SecretDigest(secret string) string {
	digest := sha256.Sum256([]byte("tributary signing secret\x00" + secret))
	return hex.EncodeToString(digest[:8])
}

// notInKey reports characters that no key has: a copied space or line end would make a key that
// nobody can send.
func notInKey(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
