package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/catalogue"
	"tributary/processor/credit"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/schemas"
)

// joinLines takes an indented line as the rest of the one before.
func joinLines(text string) []string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, " ") && len(lines) > 0:
			lines[len(lines)-1] += line
		default:
			lines = append(lines, line)
		}
	}
	return lines
}

func (s *script) fault(format string, args ...any) { s.t.Helper(); s.t.Errorf(format, args...) }

func (s *script) read(line string) {
	word, rest, _ := strings.Cut(line, " ")
	for name, id := range s.clicks {
		rest = strings.ReplaceAll(rest, "$"+name, id.String())
	}
	switch word {
	case "api":
		s.api = rest
	case "account":
		s.account = rest
	case "show":
		s.show[rest] = true
	case "policy":
		s.policy(pairs(rest))
	case "rate":
		f := strings.Fields(rest)
		s.rate(f[0], f[1], f[2])
	case "click":
		name, rest, _ := strings.Cut(rest, " ")
		at, rest := s.time(rest)
		s.click(name, at, pairs(rest))
	case "lead":
		at, rest := s.time(rest)
		s.lead(at, pairs(rest))
	case "credit":
		at, rest := s.time(rest)
		f := strings.Fields(rest)
		c := credit.Correction{Sale: f[0], Decision: identity.Node(f[1]), Reason: "asked for", Author: "zoe"}
		apply := func(m *processor) error { return credit.Apply(context.Background(), m, m.recomputer, "default", c, at) }
		s.steps = append(s.steps, func(m *processor) error {
			err := apply(m)
			if errors.Is(err, credit.ErrUnknown) { // given before its sale: a person would try again
				s.later = append(s.later, apply)
				return nil
			}
			return err
		})
	case "catalogue":
		loaded := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		c, err := catalogue.Read(strings.NewReader(strings.ReplaceAll(rest, "|", "\n")), loaded)
		if err != nil {
			s.fault("%s: %v", line, err)
			return
		}
		s.steps = append(s.steps, func(m *processor) error {
			return m.recomputer.Catalogue(context.Background(), "default", append(c.Edges, catalogue.InForce(loaded)))
		})
	case "movement":
		kind, rest, _ := strings.Cut(rest, " ")
		id, rest, _ := strings.Cut(rest, " ")
		at, rest := s.time(rest)
		s.movement(kind, id, at, pairs(rest))
	case "event", "test-event":
		typ, rest, _ := strings.Cut(rest, " ")
		at, rest := s.time(rest)
		s.event(typ, at, rest, word == "event")
	default:
		s.fault("%q is no word of a script", word)
	}
}

func (s *script) time(text string) (time.Time, string) {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse("2006-01-02T15:04", stamp)
	if err != nil {
		s.fault("%q is no time like 2026-03-02T10:00", stamp)
	}
	return at, rest
}

func pairs(text string) map[string]string {
	m := map[string]string{}
	for _, f := range strings.Fields(text) {
		k, v, _ := strings.Cut(f, "=")
		m[k] = v
	}
	return m
}

func (s *script) policy(m map[string]string) {
	days := func(key string) time.Duration { n, _ := strconv.Atoi(m[key]); return time.Duration(n) * 24 * time.Hour }
	p := join.Policy{
		Window:   days("window_days"),
		Renewals: days("renewals_days"),
		Touch:    join.Touch(m["touch"]),
		Follow:   join.Touch(m["follow"]),
	}
	if m["from"] != "" {
		p.From, _ = time.Parse(time.DateOnly, m["from"])
	}
	var err error
	if s.policies, err = join.NewPolicies(append(s.policies, p)...); err != nil {
		s.fault("%v", err)
	}
}

func (s *script) rate(currency, day, usd string) {
	date, err := fx.ParseDate(day)
	if err != nil {
		s.fault("%v", err)
	}
	s.rates = append(
		s.rates,
		fx.Rate{Currency: currency, Date: date, USD: decimal.RequireFromString(usd), Source: "bank"},
	)
}

func (s *script) click(name string, at time.Time, m map[string]string) {
	id := schemas.NewClickID(at)
	copy(id[9:], fmt.Sprintf("%-7.7s", name))
	id[6], id[7], id[8] = 0x70, 0, 0x80
	if other, ok := s.clicks[m["as"]]; ok {
		id = other
	} else {
		s.names[id.String()] = name
	}
	s.clicks[name] = id
	received := at.Add(20 * time.Millisecond)
	if m["received"] != "" {
		received, _ = s.time(m["received"])
	}
	r, err := schemas.ClickRecord(&schemas.Click{
		Workspace: "default", ClickId: id[:], ClickedAt: at.UnixMilli(), ReceivedAt: received.UnixMilli(),
		Vouched: m["vouched"] != "", AffiliateId: m["affiliate"], ProgramId: m["program"], LinkId: m["link"],
		ForeignId: m["foreign"],
	}, nil)
	if err != nil {
		s.fault("%v", err)
		return
	}
	s.steps = append(
		s.steps,
		func(m *processor) error { return m.clicks.Handle(context.Background(), []*kgo.Record{r}, nil) },
	)
}

func (s *script) lead(at time.Time, m map[string]string) {
	l := &schemas.Lead{
		Workspace: "default", LeadId: []byte(fmt.Sprintf("%-16.16s", m["public"]+m["external"]+m["event"])),
		ReceivedAt: at.UnixMilli(), ClickRef: m["click"], ExternalId: m["external"], EventName: m["event"],
		Mode: "async", Quantity: 1, Vouched: new(m["public"] == ""),
	}
	if m["stripe"] != "" {
		l.Mode = "deferred"
		l.Metadata = map[string]string{
			schemas.SaleProcessor: schemas.ProcessorStripe, schemas.SaleInvoice: m["stripe"],
		}
	}
	if m["occurred"] != "" {
		occurred, _ := s.time(m["occurred"])
		l.OccurredAt = occurred.UnixMilli()
	}
	if m["email"] != "" {
		l.EmailHash = hash(m["email"])
	}
	r, err := schemas.LeadRecord(l)
	if err != nil {
		s.fault("%v", err)
		return
	}
	s.steps = append(s.steps, s.handle(r))
}

func hash(address string) []byte { return schemas.EmailHash([]byte("key"), "default", address) }

func (s *script) event(typ string, at time.Time, object string, live bool) {
	id := fmt.Sprintf("evt_%d", len(s.steps)+1)
	object, was, changed := strings.Cut(object, " was ")
	if !changed {
		was = "null"
	}
	if !json.Valid([]byte(object)) || !json.Valid([]byte(was)) {
		s.fault("not JSON: %s", object)
	}
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":%q,"created":%d,"livemode":%t,`+
		`"data":{"object":%s,"previous_attributes":%s}`, id, typ, s.api, at.Unix(), live, object, was)
	if s.account != "" {
		body += fmt.Sprintf(`,"account":%q`, s.account)
	}
	body += "}"
	s.steps = append(s.steps, s.handle(schemas.StripeRecord(&schemas.StripeEvent{
		ID: id, Type: typ, Account: s.account, Livemode: live, ReceivedAt: at.Add(time.Second), Body: []byte(body),
	}, id)))
}

func (s *script) movement(kind, id string, at time.Time, m map[string]string) {
	received := at.Add(time.Second)
	if m["received"] != "" {
		received, _ = s.time(m["received"])
	}
	number := func(key string) int64 { n, _ := strconv.ParseInt(m[key], 10, 64); return n }
	r, err := schemas.MovementRecord(&schemas.Movement{
		Kind: kind, ID: id, Parent: m["parent"], Amount: number("amount"), Tax: number("tax"), Currency: m["currency"],
		At: at, Test: m["test"] != "", AffiliateID: m["affiliate"], ClickID: m["click"], ExternalID: m["external"],
		CustomerID: m["customer"], SubscriptionID: m["subscription"], ProductID: m["product"],
	}, "default", received)
	if err != nil {
		s.fault("%v", err)
		return
	}
	s.steps = append(s.steps, s.handle(r))
}
