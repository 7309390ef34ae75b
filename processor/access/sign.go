package access

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// signer makes and checks values that only this installation can have made: base64url(JSON) "." and
// an HMAC-SHA256 of it. Each purpose has a key of its own, so that a value made for one cannot be
// shown for another.
type signer struct{ key []byte }

func newSigner(secret, purpose string) (*signer, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "tributary dashboard "+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", purpose, err)
	}
	return &signer{key}, nil
}

var encoding = base64.RawURLEncoding

func (s *signer) mac(text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func (s *signer) sign(value any) (string, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	text := encoding.EncodeToString(body)
	return text + "." + encoding.EncodeToString(s.mac(text)), nil
}

// maxSigned is longer than any value that sign makes for names of the allowed length.
const maxSigned = 4096

// open reads a value that sign has made, and reports whether it is one.
func (s *signer) open(signed string, value any) bool {
	text, sum, ok := strings.Cut(signed, ".")
	if !ok || len(signed) > maxSigned {
		return false
	}
	if !hmac.Equal([]byte(sum), []byte(encoding.EncodeToString(s.mac(text)))) {
		return false
	}
	body, err := encoding.DecodeString(text)
	return err == nil && json.Unmarshal(body, value) == nil
}

// fingerprint changes when what a user logs in with changes, and says nothing about it.
func (s *signer) fingerprint(parts ...string) string {
	return encoding.EncodeToString(s.mac(strings.Join(parts, "\x00"))[:12])
}
