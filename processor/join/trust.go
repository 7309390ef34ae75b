package join

import (
	"slices"
	"time"

	"tributary/processor/identity"
)

// What anybody may write never gains or moves a cent by being guessed, and never reaches back in
// time. So a name that only the public gave to a click counts under three conditions:
//
//   - it cannot be guessed (see Unguessable): whoever claims another buyer's id would have to know
//     it;
//   - it was received before the sale;
//   - nobody who is trusted gave the name to a click: the seller's backend (by a secret key), a
//     catalogue, or Stripe.
//
// A click id of ours has 74 random bits and always counts.

// before reports whether something public was received before the sale. It returns false if the
// time of the sale is unknown.
func (s *Search) before(received time.Time) bool {
	return !s.At.First.IsZero() && !received.After(s.At.First)
}

// weaken makes a way no stronger than a public name is.
func (w via) weaken() via {
	if w.rule.rank() > RuleReference.rank() {
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
		s.unresolved = append(s.unresolved, e.B)
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

// late reports whether something was after the sale.
func (s *Search) late(at time.Time) bool { return !s.At.Last.IsZero() && at.After(s.At.Last.Add(skew)) }
