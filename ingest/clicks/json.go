package clicks

import (
	"errors"
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
