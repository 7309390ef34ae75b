package clicks

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// identities makes identity hashes: 8 bytes that are equal for one visitor of one site during one
// UTC day, and say nothing afterwards. The key of a day is HMAC(secret, day); the address is cut to
// /24 or /48 before it is hashed, so that not even the holder of the secret can find it again.
type identities struct {
	secret []byte
	today  atomic.Pointer[day]
}

type day struct {
	number int64 // days since 1970-01-01 UTC
	macs   sync.Pool
}

type mac struct {
	hash.Hash
	sum   [sha256.Size]byte
	input []byte
}

func newIdentities(secret []byte) *identities {
	if len(secret) == 0 {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // never fails (Go 1.24)
	}
	return &identities{secret: secret}
}

// lastIdentity is the last hash of a connection: one visitor of one site mostly sends several times
// on theirs, and the hash costs more than reading what they send.
type lastIdentity struct {
	day   *day // nil: there is none
	input []byte
	hash  [identityBytes]byte
}

// identityBytes is the length of an identity hash.
const identityBytes = 8

// append adds the hash to dst. addr may be invalid: then there is nothing to tell visitors apart
// by, and nothing is added. last may be nil.
func (ids *identities) append(
	dst []byte, last *lastIdentity, now time.Time, addr netip.Addr, agent, host string,
) []byte {
	if !addr.IsValid() {
		return dst
	}
	number := now.Unix() / 86400
	d := ids.today.Load()
	if d == nil || d.number != number {
		d = ids.newDay(number)
		ids.today.Store(d) // two requests at midnight may both make it: the keys are equal
	}
	bits := 24
	if !addr.Is4() {
		bits = 48
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return dst
	}
	a := network.Addr().As16()
	if last != nil && last.day == d && last.is(a[:], agent, host) {
		return append(dst, last.hash[:]...)
	}
	m := d.macs.Get().(*mac)
	m.Reset()
	m.input = append(m.input[:0], a[:]...)
	m.input = append(m.input, agent...)
	m.input = append(m.input, 0)
	m.input = append(m.input, host...)
	m.Write(m.input)
	hash := m.Sum(m.sum[:0])[:identityBytes]
	dst = append(dst, hash...)
	if last != nil {
		last.day, last.input, last.hash = d, append(last.input[:0], m.input...), [identityBytes]byte(hash)
	}
	d.macs.Put(m)
	return dst
}

// is reports whether the hash is of this input.
func (l *lastIdentity) is(network []byte, agent, host string) bool {
	rest, ok := bytes.CutPrefix(l.input, network)
	n := len(agent)
	return ok && len(rest) == n+1+len(host) && b2s(rest[:n]) == agent && rest[n] == 0 && b2s(rest[n+1:]) == host
}

func (ids *identities) newDay(number int64) *day {
	h := hmac.New(sha256.New, ids.secret)
	h.Write([]byte(time.Unix(number*86400, 0).UTC().Format(time.DateOnly)))
	key := h.Sum(nil)
	d := &day{number: number}
	d.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, key)} }
	return d
}
