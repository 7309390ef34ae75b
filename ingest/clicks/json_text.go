package clicks

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// plain holds the bytes of a string that mean themselves, whatever stands around them.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainLength returns how many bytes of a string's rest are plain. It looks at eight at a time: in
// each byte of special the highest bit is set if that byte is not plain. A subtraction that borrows
// may set the bits of bytes behind the first such byte, but none before it.
func plainLength(b []byte) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		quote, backslash := x^each*'"', x^each*'\\'
		if special := (x | (x - each*' ') | (quote - each) | (backslash - each)) & high; special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for n < len(b) && plain[b[n]] {
		n++
	}
	return n
}

// skipString reads a string that is not needed. s.pos stands at its opening quote.
func (s *scanner) skipString() error {
	s.pos++
	return s.skipRest()
}

// skipRest reads on to the end of a string that s.pos stands in.
func (s *scanner) skipRest() error {
	for s.pos < len(s.data) {
		s.pos += plainLength(s.data[s.pos:])
		switch c := s.peek(); {
		case c >= utf8.RuneSelf:
			s.pos++
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return errJSON
		default: // a backslash
			if _, err := s.escape(); err != nil {
				return err
			}
		}
	}
	return errJSON
}

// str reads a string. s.pos stands at its opening quote. Most strings are used where they lie.
func (s *scanner) str() (string, error) {
	rest := s.data[s.pos+1:]
	n := plainLength(rest)
	if n < len(rest) && rest[n] == '"' {
		s.pos += n + len(`""`)
		return b2s(rest[:n]), nil
	}
	return s.decode(n)
}

// decode reads a string that cannot be used where it lies. s.pos stands at its opening quote, and
// the first n bytes behind that are plain.
func (s *scanner) decode(n int) (string, error) {
	from, begin := s.pos+1, len(s.text)
	s.pos = from + n
	s.text = append(s.text, s.data[from:from+min(n, maxText+1)]...)
	for s.pos < len(s.data) {
		if len(s.text)-begin > maxText {
			err := s.skipRest()
			return b2s(s.text[begin:]), err
		}
		switch c := s.data[s.pos]; {
		case plain[c]:
			s.text = append(s.text, c)
			s.pos++
		case c == '"':
			s.pos++
			return b2s(s.text[begin:]), nil
		case c < ' ':
			return "", errJSON
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			s.text = utf8.AppendRune(s.text, r)
		default:
			r, size := utf8.DecodeRune(s.data[s.pos:])
			s.text = utf8.AppendRune(s.text, r)
			s.pos += size
		}
	}
	return "", errJSON
}

// escape reads one escape sequence, or the two that make a surrogate pair (RFC 8259 §7). s.pos
// stands at its backslash.
func (s *scanner) escape() (rune, error) {
	if s.pos+1 >= len(s.data) {
		return 0, errJSON
	}
	c := s.data[s.pos+1]
	s.pos += 2
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, errJSON
	}
	r := hex4(s.data[s.pos:])
	if r < 0 {
		return 0, errJSON
	}
	s.pos += 4
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if rest := s.data[s.pos:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(rest[2:])); pair != utf8.RuneError {
			s.pos += 6
			return pair, nil
		}
	}
	return utf8.RuneError, nil // half of a pair
}

// hex4 is the number that four hexadecimal digits write, -1 if b does not begin with four of them.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
