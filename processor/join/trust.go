package join

import (
	"cmp"
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"tributary/processor/identity"
)

// What anybody may write never gains or moves a cent by being guessed, and never reaches back in
// time. So a name that only the public gave to a click counts under three conditions:
//
//   - it cannot be guessed (see Unguessable): whoever claims another buyer's id would have to know it;
//   - it was received before the sale;
//   - nobody who is trusted gave the name to a click: the seller's backend (by a secret key), a catalogue, or Stripe.
//
// A click id of ours has 74 random bits and always counts.

// A name must hold so many bits, as counted below: few ids that a vendor makes of 64 random bits or
// more are refused, and no name that somebody made up of words and numbers in one case is taken.
// Capitals among small letters are seldom a person's choice, so there fewer are enough.
const (
	enoughBits  = 6400 // hundredths of a bit
	enoughMixed = 4500
)

var (
	randomUUID = regexp.MustCompile(
		`^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[47][0-9a-fA-F]{3}-?[89abAB][0-9a-fA-F]{3}-?[0-9a-fA-F]{12}$`)
	anyUUID  = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	plainHex = regexp.MustCompile(`^(?:0x)?[0-9a-fA-F]+$`)
)

// Unguessable reports whether a name looks as if it held some 64 random bits, by its length and
// alphabet: a random UUID or a nanoid of 16 characters does; user_1042, 90210, an e-mail address or
// a slug of words does not. Neither does a UUID made of a time or a name (RFC 9562, versions 1, 3,
// 5 and 6), nor plain hexadecimal digits: they may be the hash of something known, or a counter's
// id. Text in base64 is judged by what it says.
func Unguessable(name string) bool {
	name = strings.TrimSpace(name)
	switch {
	case strings.Contains(name, "@"):
		return false
	case randomUUID.MatchString(name):
		return true
	case anyUUID.MatchString(name), plainHex.MatchString(name):
		return false
	}
	if text, ok := decoded(name); ok {
		return Unguessable(text)
	}
	found, bothCases := bits(name)
	if bothCases {
		return found >= enoughMixed
	}
	return found >= enoughBits
}

// decoded returns what a name says in base64, if that is printable text.
func decoded(name string) (string, bool) {
	trimmed := strings.TrimRight(name, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		text, err := encoding.DecodeString(trimmed)
		if err == nil && len(text) > 0 && !slices.ContainsFunc(text, func(b byte) bool { return b < ' ' || b > '~' }) {
			return string(text), true
		}
	}
	return "", false
}

// bits estimates how many random bits a name holds, in hundredths, and reports whether it has both
// capitals and small letters. Each letter or digit counts by the size of the name's alphabet; but
// in a run of one kind (a word, a number) those after the second count half a bit. A name that is
// too short, of a single kind, or of digits for the most part (a number, a time), holds nothing
// that can be relied on.
func bits(name string) (found int, bothCases bool) {
	const lower, upper, digit = 0, 1, 2
	var count [3]int
	kind := func(c rune) int {
		switch {
		case c >= 'a' && c <= 'z':
			return lower
		case c >= 'A' && c <= 'Z':
			return upper
		case c >= '0' && c <= '9':
			return digit
		}
		return -1
	}
	for _, c := range name {
		if k := kind(c); k >= 0 {
			count[k]++
		}
	}
	bothCases = count[lower] > 0 && count[upper] > 0
	var each int // the logarithm of the alphabet's size
	switch letters := count[lower] + count[upper]; {
	case bothCases && count[digit] > 0:
		each = 595 // 62
	case bothCases:
		each = 570 // 52
	case letters > 0 && count[digit] > 0:
		each = 517 // 36
	}
	all := count[lower] + count[upper] + count[digit]
	if all*each < enoughBits || 5*count[digit] > 3*all {
		return 0, false
	}
	run, last := 0, -1
	for _, c := range name {
		k := kind(c)
		if k != last {
			run, last = 0, k
		}
		switch run++; {
		case k < 0:
		case run <= 2:
			found += each
		default:
			found += 50
		}
	}
	return found, bothCases
}

// before reports whether something public was received before the sale. Where nothing says when the
// sale was, nothing was.
func (s *Search) before(received time.Time) bool {
	return !s.At.First.IsZero() && !received.After(s.At.First)
}

// weaken makes a way no stronger than a public name is.
func (w via) weaken() via {
	if w.rule.Rank() > RuleReference.Rank() {
		w.rule = RuleReference
	}
	return w
}

// publicEdge returns what the public said first about a name.
func (s *Search) publicEdge(n identity.Node) (identity.Edge, bool) {
	for _, e := range s.graph.From(identity.PublicName(n)) {
		if e.B != n { // the way back
			return e, true
		}
	}
	return identity.Edge{}, false
}

// reference resolves an id whose meaning the clicks and affiliates decide: a click that a secret
// key vouched for, else an affiliate whom somebody trusted named, else whatever the public gave
// this name to first, a click or an affiliate. An affiliate's id stands in all their links, so that
// it needs no guessing to claim it as a click's: it is still theirs.
func (s *Search) reference(e identity.Edge, way via) {
	bare := e.Source == bareReference
	for _, first := range s.graph.From(e.B) {
		if first.B.Type() == identity.Click {
			s.click(first.B, way)
			return
		}
	}
	value := e.B.Value()
	if s.knows(value) {
		s.affiliate(value, RuleAffiliate, e.B, mention{way.scope, e.At})
		return
	}
	mentioned, isAffiliate := s.mentioned(value)
	first, ok := s.publicEdge(e.B)
	if ok && first.B.Type() == identity.Click && !(isAffiliate && mentioned.Before(first.At)) {
		if s.publicClick(first, e.B, way, bare) {
			return
		}
	}
	switch {
	case isAffiliate:
		s.affiliate(value, RuleReference, e.B, mention{way.scope, e.At})
	case !bare: // a bare one may be anything of the seller's
		s.unmet = append(s.unmet, e.B)
	}
}

// bareReference is the source of a client_reference_id without a prefix.
const bareReference = "client_reference_id"

// publicClick adds the click that a browser connected with a name, and reports whether that counts:
// the name cannot be guessed, and the report came before the sale. Otherwise the click is listed as
// Unproven.
func (s *Search) publicClick(first identity.Edge, name identity.Node, way via, bare bool) bool {
	if bare {
		way = way.weaken()
	}
	if Unguessable(name.Value()) && s.before(first.At) {
		s.click(first.B, way)
		return true
	}
	if c := s.clicks[first.B]; c != nil {
		s.refused = append(s.refused, Candidate{Credit{Rule: way.rule, Key: name, Click: c, AffiliateID: c.AffiliateID,
			ProgramID: c.ProgramID}, Unproven})
	}
	return false
}

// claimed follows the lead that a browser sent for a buyer's own id.
func (s *Search) claimed(e identity.Edge, way via) {
	first, ok := s.publicEdge(e.A)
	if !ok {
		return
	}
	way = way.weaken()
	switch first.B.Type() {
	case identity.Click:
		s.publicClick(first, e.A, way, true)
	case identity.Reference:
		if Unguessable(e.A.Value()) && s.before(first.At) {
			s.reference(identity.Edge{A: e.A, B: first.B, Source: bareReference, At: first.At}, way)
		}
	}
}

// knows reports whether somebody who is trusted named an affiliate: a catalogue, or a click that a
// secret key vouched for.
func (s *Search) knows(affiliate string) bool {
	return slices.ContainsFunc(s.graph.From(identity.New(identity.Affiliate, affiliate)), func(e identity.Edge) bool {
		return e.B.Type() == identity.Program
	})
}

// mentioned returns when a public click first named an affiliate, and whether that was before the
// sale, in a workspace that had no catalogue then. The guides of Push Lap Growth and others have
// the site put a bare affiliate id into client_reference_id.
func (s *Search) mentioned(affiliate string) (at time.Time, ok bool) {
	first, ok := s.publicEdge(identity.New(identity.Affiliate, affiliate))
	if !ok || !s.before(first.At) {
		return time.Time{}, false
	}
	return first.At, !slices.ContainsFunc(s.graph.From(identity.Catalogue),
		func(e identity.Edge) bool { return !s.At.First.Before(e.At) })
}

// program returns the programme of an affiliate: the first of a catalogue, else the first of a
// vouched click, else the first of a public click that was received before the sale.
func (s *Search) program(affiliate string) string {
	n := identity.New(identity.Affiliate, affiliate)
	var first *identity.Edge
	for _, e := range s.graph.From(n) {
		if e.B.Type() == identity.Program && (first == nil || earlierProgram(e, *first)) {
			first = &e
		}
	}
	if first != nil {
		return first.B.Value()
	}
	if public, ok := s.publicEdge(n); ok && s.before(public.At) {
		return public.B.Value()
	}
	return ""
}

// programOf returns the programme of an affiliate's click. What a click of a backend says stands.
func (s *Search) programOf(c *Click, affiliate string) string {
	listed := false
	for _, e := range s.graph.From(identity.New(identity.Affiliate, affiliate)) {
		if !e.OfCatalogue() {
			continue
		}
		if c.ProgramID != "" && e.B.Value() == c.ProgramID {
			return c.ProgramID
		}
		listed = true
	}
	if !listed || c.Vouched && c.ProgramID != "" {
		return c.ProgramID
	}
	return s.program(affiliate)
}

// earlierProgram orders what is known of an affiliate's programme: a catalogue before a click, one
// that is named before none, the earlier, the smaller.
func earlierProgram(a, b identity.Edge) bool {
	if ca, cb := a.OfCatalogue(), b.OfCatalogue(); ca != cb {
		return ca
	}
	if na, nb := a.B.Value() != "", b.B.Value() != ""; na != nb {
		return na
	}
	if !a.At.Equal(b.At) {
		return a.At.Before(b.At)
	}
	return a.B < b.B
}

// inForce leaves of each metadata field of a customer or subscription the one value that it had at
// the sale: the last that was set before it, else the first after it. A seller who replaces a wrong
// click means the new one, whichever was clicked later; one who empties the field means none.
func (s *Search) inForce(edges []identity.Edge) []identity.Edge {
	if !slices.ContainsFunc(edges, func(e identity.Edge) bool { return isField(e.Source) }) {
		return edges
	}
	values := make(map[field]identity.Edge)
	for _, e := range edges {
		if !isField(e.Source) {
			continue
		}
		if e.B.Type() == identity.Again {
			e.B = identity.AgainOf(e.B)
		}
		if old, ok := values[fieldOf(e)]; !ok || s.replaces(e, old) {
			values[fieldOf(e)] = e
		}
	}
	kept := make([]identity.Edge, 0, len(edges))
	for _, e := range edges {
		if !isField(e.Source) {
			kept = append(kept, e)
		}
	}
	inOrder := func(a, b identity.Edge) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.B, b.B))
	}
	for _, e := range slices.SortedFunc(maps.Values(values), inOrder) {
		if e.B.Value() != "" {
			kept = append(kept, e)
		}
	}
	for _, e := range edges {
		if isField(e.Source) && e.B != values[fieldOf(e)].B {
			s.replaced(e)
		}
	}
	return kept
}

// replaced notes the click that a field named before or after the sale, but not at it.
func (s *Search) replaced(e identity.Edge) {
	c := s.clicks[e.B]
	if c == nil || slices.ContainsFunc(s.refused, func(w Candidate) bool { return w.Key == e.A && w.Click == c }) {
		return
	}
	outcome := Replaced
	if s.late(c.ClickedAt) {
		outcome = TooLate
	}
	s.refused = append(s.refused, Candidate{Credit{Rule: RuleNone, Key: e.A, Click: c, AffiliateID: c.AffiliateID,
		ProgramID: c.ProgramID}, outcome})
}

// late reports whether something was after the sale.
func (s *Search) late(at time.Time) bool { return !s.At.Last.IsZero() && at.After(s.At.Last.Add(skew)) }

// field is a metadata field of one mode. A name that both modes may use is reported twice by an
// event of test mode, once of each mode, and neither report replaces the other (identity.TestMode).
type field struct {
	source   string
	testMode bool
}

func fieldOf(e identity.Edge) field { return field{e.Source, e.B.OfTestMode()} }

// isField reports whether a source is a metadata field that its owner has once, and may change.
func isField(source string) bool {
	return strings.HasPrefix(source, "customer.metadata.") || strings.HasPrefix(source, "subscription.metadata.")
}

// replaces reports whether a value of a field counts rather than b.
func (s *Search) replaces(a, b identity.Edge) bool {
	switch la, lb := s.late(a.At), s.late(b.At); {
	case la != lb:
		return lb
	case !a.At.Equal(b.At):
		return a.At.After(b.At) != la
	}
	return a.B < b.B
}
