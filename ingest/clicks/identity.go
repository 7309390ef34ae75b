package clicks

import (
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
	sum     [sha256.Size]byte
	scratch []byte
}

func newIdentities(secret []byte) *identities {
	if len(secret) == 0 {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // never fails (Go 1.24)
	}
	return &identities{secret: secret}
}

// append adds the hash to dst. addr may be invalid: then there is nothing to tell visitors apart
// by, and nothing is added.
func (ids *identities) append(dst []byte, now time.Time, addr netip.Addr, agent, host string) []byte {
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
	m := d.macs.Get().(*mac)
	m.Reset()
	a := network.Addr().As16()
	m.scratch = append(m.scratch[:0], a[:]...)
	m.scratch = append(m.scratch, agent...)
	m.scratch = append(m.scratch, 0)
	m.scratch = append(m.scratch, host...)
	m.Write(m.scratch)
	dst = append(dst, m.Sum(m.sum[:0])[:8]...)
	d.macs.Put(m)
	return dst
}

func (ids *identities) newDay(number int64) *day {
	h := hmac.New(sha256.New, ids.secret)
	h.Write([]byte(time.Unix(number*86400, 0).UTC().Format(time.DateOnly)))
	key := h.Sum(nil)
	d := &day{number: number}
	d.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, key)} }
	return d
}
