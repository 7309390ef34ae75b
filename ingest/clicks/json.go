package clicks

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may stand in one another. An event needs two levels; the
// rest is for fields that only other programs understand.
const maxDepth = 256

// maxText is how many bytes of a string are decoded at least; it is more than any field may have.
// Of a longer string that cannot be used where it lies, only the beginning is kept: what does not
// fit is refused by its length, or cut, all the same.
const maxText = 16 << 10

// errJSON says that the text is no JSON, or nested deeper than maxDepth. Where it stops being JSON
// is not said: the text is a visitor's and has no place in a log.
var errJSON = errors.New("not JSON")

// kind is the type of a JSON value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// value is one JSON value. text is the decoded string of a string, and the JSON as it stands of
// everything else. It shares memory with the scanner and the body.
type value struct {
	kind kind
	text string
	from int // where it begins in the body
}

// scanner reads JSON (RFC 8259) where it lies, without building a tree: what a body costs is its
// bytes, whatever is in them. It accepts and refuses what encoding/json does, nesting beyond
// maxDepth apart, and decodes strings to the same text: each byte that is not UTF-8, and each half
// of a surrogate pair, becomes U+FFFD.
type scanner struct {
	data []byte
	pos  int
	text []byte // decoded strings that could not be used where they lie
}

// reset begins a new text. Strings of the old one must not be used any more.
func (s *scanner) reset(data []byte) { s.data, s.pos, s.text = data, 0, s.text[:0] }

// space skips white space and returns the byte after it, 0 at the end. (A zero byte is never part
// of valid JSON.)
func (s *scanner) space() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// end reports whether nothing but white space is left.
func (s *scanner) end() bool {
	s.space()
	return s.pos == len(s.data)
}

// open takes the bracket that begins an object or an array, and reports whether it was there.
func (s *scanner) open(bracket byte) bool {
	if s.space() != bracket {
		return false
	}
	s.pos++
	return true
}

// more reports whether another element follows in an array or object that closing ends; first says
// that none has been read.
func (s *scanner) more(closing byte, first bool) (bool, error) {
	switch c := s.space(); {
	case c == closing:
		s.pos++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, errJSON
	}
	s.pos++
	return true, nil
}

// name reads a member's name and the colon behind it.
func (s *scanner) name() (string, error) {
	if s.space() != '"' {
		return "", errJSON
	}
	name, err := s.str()
	if err != nil || s.space() != ':' {
		return "", errJSON
	}
	s.pos++
	return name, nil
}

// value reads the next value, whatever it is.
func (s *scanner) value() (value, error) {
	c := s.space()
	v := value{from: s.pos}
	var err error
	switch c {
	case '"':
		v.kind = kindString
		v.text, err = s.str()
		return v, err
	case '{':
		v.kind, err = kindObject, s.skip()
	case '[':
		v.kind, err = kindArray, s.skip()
	case 't', 'f':
		v.kind, err = kindBool, s.scalar(c)
	case 'n':
		v.kind, err = kindNull, s.scalar(c)
	default:
		v.kind, err = kindNumber, s.scalar(c)
	}
	if err != nil {
		return value{}, err
	}
	v.text = b2s(s.data[v.from:s.pos])
	return v, nil
}

// nesting is which brackets are open: a bit for each, 1 for an object.
type nesting struct {
	objects [maxDepth / 64]uint64
	depth   int
}

// open notes one bracket more, and reports whether so many may be open.
func (n *nesting) open(object bool) bool {
	if n.depth == maxDepth {
		return false
	}
	bit := uint64(1) << (n.depth % 64)
	n.objects[n.depth/64] &^= bit
	if object {
		n.objects[n.depth/64] |= bit
	}
	n.depth++
	return true
}

// inObject reports whether the innermost open bracket is an object's.
func (n *nesting) inObject() bool { return n.objects[(n.depth-1)/64]>>((n.depth-1)%64)&1 == 1 }

// skip reads one value of any depth without keeping anything of it.
func (s *scanner) skip() error {
	var brackets nesting
	for {
		c := s.space()
		if c == '{' || c == '[' {
			if !brackets.open(c == '{') {
				return errJSON
			}
			s.pos++
			if s.space() != c+2 { // ']' and '}' stand two behind '[' and '{'
				if c == '{' && s.skipName() != nil {
					return errJSON
				}
				continue
			}
		} else if err := s.scalar(c); err != nil {
			return err
		}
		if more, err := s.close(&brackets); err != nil || !more {
			return err
		}
	}
}

// close reads the brackets that close where a value has ended or an empty bracket is open, and
// reports whether a comma, and another value, come before the outermost one closes.
func (s *scanner) close(brackets *nesting) (bool, error) {
	for brackets.depth > 0 {
		object := brackets.inObject()
		c := s.space()
		s.pos++
		switch {
		case c == ',' && object:
			return true, s.skipName()
		case c == ',':
			return true, nil
		case object && c != '}', !object && c != ']':
			return false, errJSON
		}
		brackets.depth--
	}
	return false, nil
}

func (s *scanner) skipName() error {
	if s.space() != '"' || s.skipString() != nil || s.space() != ':' {
		return errJSON
	}
	s.pos++
	return nil
}

// scalar reads a value that is neither array nor object and begins with c.
func (s *scanner) scalar(c byte) error {
	switch c {
	case '"':
		return s.skipString()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) error {
	if len(s.data)-s.pos < len(w) || string(s.data[s.pos:s.pos+len(w)]) != w {
		return errJSON
	}
	s.pos += len(w)
	return nil
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return errJSON
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return errJSON
		}
	}
	if s.peek()|0x20 == 'e' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return errJSON
		}
	}
	return nil
}

func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// digits reads at least one digit, or reports that there is none.
func (s *scanner) digits() bool {
	from := s.pos
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos > from
}

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
