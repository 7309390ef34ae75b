package clicks

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
