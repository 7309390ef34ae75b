package schemas

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
)

// EmailHash is the hash under which an e-mail address is kept: the first 16 bytes of HMAC-SHA256
// with the key over the workspace, a zero byte, and the address without surrounding space in lower
// case. The edge makes it of a lead's address and the processor of a Stripe customer's; with the
// same key they meet. The address itself is kept nowhere of ours but in Stripe's raw bodies.
func EmailHash(key []byte, workspace, address string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(workspace))
	h.Write([]byte{0})
	h.Write([]byte(strings.ToLower(strings.TrimSpace(address))))
	return h.Sum(nil)[:16]
}
