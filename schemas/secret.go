package schemas

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// MinSecretBytes is the least length of a secret that people choose: secret keys and the keys of hashes.
const MinSecretBytes = 16

// CheckSecret returns why a secret must not be used; the message does not repeat it.
func CheckSecret(secret string) error {
	switch {
	case strings.ContainsFunc(secret, notInKey):
		return errors.New("it holds a space or a character that cannot be seen (hint: `openssl rand -hex 32`)")
	case len(secret) < MinSecretBytes:
		return fmt.Errorf("its %d bytes can be guessed (hint: at least %d; `openssl rand -hex 32`)", len(secret), MinSecretBytes)
	}
	return nil
}

// minSigningSecret is shorter than any that Stripe makes. It is there to refuse what was left empty or cut off, since
// with an empty secret everybody could sign.
const minSigningSecret = 8

// CheckSigningSecret returns why a signing secret of a Stripe webhook endpoint must not be used; the message does not
// repeat it.
func CheckSigningSecret(secret string) error {
	for _, prefix := range []string{"sk_", "rk_", "pk_"} {
		if strings.HasPrefix(secret, prefix) {
			return errors.New("it is an API key (hint: the signing secret begins with whsec_)")
		}
	}
	if len(secret) < minSigningSecret || strings.ContainsFunc(secret, notInKey) {
		return errors.New("it is empty, very short or has spaces in it (hint: whsec_…, as Stripe shows it)")
	}
	return nil
}

// notInKey reports characters that no key has: a copied space or line end would make a key that nobody can send.
func notInKey(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
