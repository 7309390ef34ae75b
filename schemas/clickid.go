package schemas

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// ClickID is a UUIDv7 (RFC 9562 §5.7) in its 16 bytes, big-endian: ids of one moment lie side by
// side in ClickHouse. In text it is the usual 36 characters, which fit Stripe's client_reference_id
// ([A-Za-z0-9_-], at most 200).
type ClickID [16]byte

// NewClickID makes an id that carries clickedAt in its first 48 bits. Unix milliseconds before 1970
// count as 1970.
func NewClickID(clickedAt time.Time) ClickID {
	var random [ClickIDRandom]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never returns an error (Go 1.24); it aborts the program instead
	return ClickIDOf(clickedAt, random[:])
}

// ClickIDRandom is how many random bytes an id is made of.
const ClickIDRandom = 10

// ClickIDOf is NewClickID with the caller's random bytes: ClickIDRandom of them, from crypto/rand,
// and used for no other id.
func ClickIDOf(clickedAt time.Time, random []byte) ClickID {
	var id ClickID
	copy(id[6:], random)
	ms := uint64(max(clickedAt.UnixMilli(), 0))
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseClickID reads the 36-character form, upper or lower case, and accepts version 7, variant 10
// only.
func ParseClickID[T string | []byte](s T) (ClickID, bool) {
	var id ClickID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ClickID{}, false
	}
	n := 0
	for i := 0; i < 36; {
		if s[i] == '-' {
			i++
			continue
		}
		hi, lo := unhex(s[i]), unhex(s[i+1])
		if hi > 15 || lo > 15 {
			return ClickID{}, false
		}
		id[n] = hi<<4 | lo
		n++
		i += 2
	}
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		return ClickID{}, false
	}
	return id, true
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// ClickIDPrefixes are what Dub's, PiMMs' and our own guides write before a click's id where the
// text could be anything else, as in Stripe's client_reference_id.
var ClickIDPrefixes = []string{"pimms_id_", "dub_id_", "tributary_id_"}

// BareClickID returns a click's id, of whatever form, without such a prefix.
func BareClickID(id string) string {
	for _, prefix := range ClickIDPrefixes {
		if bare, ok := strings.CutPrefix(id, prefix); ok {
			return bare
		}
	}
	return id
}

// IsUnfilled reports whether an id is what a program writes where it has none: JavaScript's
// undefined, Python's None, Go's <nil>, an object that is no text. All who are given such an id
// would be one person.
func IsUnfilled(id string) bool {
	switch id {
	case "", "0", "undefined", "Undefined", "null", "Null", "NULL", "(null)", "None", "none", "nil", "<nil>", "<no value>",
		"NaN", "nan", "false", "False", "[object Object]":
		return true
	}
	return false
}

// Time is the moment in the id, UTC, in milliseconds.
func (id ClickID) Time() time.Time {
	ms := uint64(binary.BigEndian.Uint16(id[0:]))<<32 | uint64(binary.BigEndian.Uint32(id[2:]))
	return time.UnixMilli(int64(ms)).UTC()
}

// Compare orders ids by their bytes, and so by time; their text form has the same order.
func (id ClickID) Compare(other ClickID) int { return bytes.Compare(id[:], other[:]) }

// IsZero reports whether the id is sixteen zero bytes, which stand for no click.
func (id ClickID) IsZero() bool { return id == ClickID{} }

// AppendText appends the 36-character form.
func (id ClickID) AppendText(dst []byte) []byte {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return append(dst, b[:]...)
}

func (id ClickID) String() string { return string(id.AppendText(make([]byte, 0, 36))) }
