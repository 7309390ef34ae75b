package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"tributary/processor/join"
	"tributary/processor/stripe"
	"tributary/schemas/program"
)

// Print writes the explanation for people.
func (s *Explanation) Print(w io.Writer) error {
	p := &printer{w: w}
	for i, sale := range s.Sales {
		if i > 0 {
			p.say("\n%s\n", strings.Repeat("─", 72))
		}
		p.sale(sale)
	}
	if len(s.Leads) > 0 {
		if len(s.Sales) > 0 {
			p.say("\n%s\n", strings.Repeat("─", 72))
		}
		p.leads(s.Leads)
	}
	if s.More > 0 {
		p.say("\n%d older ones are left out; ask for one of them by its own id.", s.More)
	}
	if !s.Searched {
		p.say("\nThere are more events than were searched: some that say nothing about money are missing above.")
	}
	return p.err
}

// printer keeps the first error, so that only the end need check it.
type printer struct {
	w   io.Writer
	err error
}

// say prints a line. Arguments that are text may hold names that anybody wrote.
func (p *printer) say(format string, args ...any) {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = program.Printable(text)
		}
	}
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) table(rows [][]string) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, cell := range r {
			cells[i] = program.Printable(cell)
		}
		if p.err == nil {
			_, p.err = fmt.Fprintln(t, strings.TrimRight("  "+strings.Join(cells, "\t"), "\t"))
		}
	}
	if err := t.Flush(); p.err == nil {
		p.err = err
	}
}

// Title names the object under which the sale is booked.
func (s Sale) Title() string {
	switch {
	case s.Canonical == "":
		return "No payment is known of " + strings.Join(s.Objects, ", ")
	case len(s.Objects) == 1:
		return "Booked under " + s.Canonical
	}
	return "Booked under " + s.Canonical + ", for which all of these stand: " + strings.Join(s.Objects, ", ")
}

func (p *printer) sale(s Sale) {
	p.say("%s", s.Title())
	p.events(s.Events)
	if len(s.DeadLetters) > 0 {
		p.say("\nWhat could not be read (processor replay reads it again, once it can be)")
		for _, l := range s.DeadLetters {
			p.say("  %s  %s  %s", Clock(l.At), l.Origin, l.Reason)
		}
	}
	if len(s.Names) > 0 {
		p.say("\nWhich names belong together")
		rows := make([][]string, 0, len(s.Names))
		for _, n := range s.Names {
			rows = append(rows, []string{Clock(n.At), n.From, "= " + n.To, "by " + n.Source})
		}
		p.table(rows)
	}
	p.candidates(s)
	for _, e := range s.Entries {
		p.entry(e)
	}
}

func (p *printer) events(events []Event) {
	if len(events) == 0 {
		return
	}
	p.say("\nWhat Stripe said")
	rows := make([][]string, 0, len(events))
	for _, e := range events {
		row := []string{Clock(e.Created), e.Type, e.ID, "after " + e.Delay()}
		for i, m := range e.Money {
			if i > 0 {
				rows = append(rows, row)
				row = []string{"", "", "", ""}
			}
			row = append(row, m.Text())
		}
		rows = append(rows, row)
	}
	p.table(rows)
}

// Delay returns how long after its creation by Stripe the event reached us.
func (e Event) Delay() string { return span(e.ReceivedAt.Sub(e.Created)) }

// Text describes the fact for people.
func (m Money) Text() string {
	text := strings.ReplaceAll(m.Kind, "_", " ") + " " + m.Object + " " + FormatMinor(m.Amount, m.Currency)
	switch {
	case m.Kind == stripe.Payment && m.Amount == 0 && m.Certain && m.Source == stripe.FromInvoice:
		return m.Object + " of " + FormatMinor(m.Total, m.Currency) + " is paid by the customer's balance alone"
	case m.Kind == stripe.Payment && m.Amount == 0:
		return m.Object + " asks for " + FormatMinor(m.Total, m.Currency) + ", and nothing is paid by then"
	case m.Kind == stripe.RefundedTotal:
		return "refunded so far of " + m.Object + " " + FormatMinor(m.Amount, m.Currency)
	case m.Kind == stripe.Detached:
		return m.Object + " was taken off its invoice"
	case m.Kind == stripe.Transferred:
		return m.Object + " is what a platform passed on to the account: the sale is the platform's"
	case m.Kind == stripe.Begun:
		return "a payment of " + FormatMinor(m.Amount, m.Currency) + " was begun for " + m.Object
	case m.Kind == stripe.Credited:
		return "a credit note says for which lines or tax " + m.Object + " is"
	case m.Kind == stripe.Failed:
		return m.Object + " of " + FormatMinor(m.Amount, m.Currency) + " failed"
	case strings.HasPrefix(m.Kind, stripe.Settlement):
		return "Stripe's balance moved by " + FormatMinor(m.Amount, m.Currency) + " for " + m.Object
	case m.Kind == stripe.Authorization:
		return "authorised for " + m.Object + " " + FormatMinor(m.Amount, m.Currency) +
			", and not captured in full: the rest is released"
	case m.Kind == stripe.Presented:
		return "shown to the buyer of " + m.Object + " as " + FormatMinor(m.Amount, m.Currency)
	}
	return text
}

func (p *printer) candidates(s Sale) {
	p.say("\nWho could be credited (window %d days, %s touch, buyers follow the %s)", s.Policy.WindowDays,
		s.Policy.Touch, s.Policy.Follow)
	if len(s.Candidates) == 0 {
		p.say("  nobody: nothing in the sale leads to a click, an affiliate or a promotion code")
		return
	}
	for _, c := range s.Candidates {
		mark := "–"
		if c.Outcome == join.Credited {
			mark = "✓"
		}
		p.say("  %s %s", mark, c.Text())
		p.say("    %s", c.Why)
	}
}

// Text names a candidate.
func (c Candidate) Text() string {
	var parts []string
	if c.ClickID != "" {
		parts = append(parts, "click "+c.ClickID+" of "+Clock(*c.ClickedAt))
	}
	for _, f := range [][2]string{{"affiliate", c.AffiliateID}, {"program", c.ProgramID}, {"link", c.LinkID}} {
		if f[1] != "" {
			parts = append(parts, f[0]+" "+f[1])
		}
	}
	switch {
	case len(parts) == 0:
		return c.Key
	case c.Key != "click:"+c.ClickID:
		parts = append(parts, "by "+c.Key)
	}
	return strings.Join(parts, ", ")
}

func (p *printer) entry(e Entry) {
	p.say("\n%s, entry %s", e.Title(), e.ID)
	for _, line := range e.Versions[len(e.Versions)-1].Standing() {
		p.say("  %s", line)
	}
	if len(e.Versions) > 1 {
		p.say("  How it became so")
		for i, v := range e.Versions {
			p.say("    %d. %s", i+1, v.Because)
			for _, change := range v.Changes {
				p.say("       %s", change)
			}
		}
	}
}

// Title names the movement.
func (e Entry) Title() string {
	return strings.ToUpper(e.Kind[:1]) + strings.ReplaceAll(e.Kind[1:], "_", " ") + " " + e.Object
}

// Standing describes a row: what moved, what it is in USD, and who is credited why.
func (v Version) Standing() []string {
	if v.Status == "superseded" {
		return []string{"superseded: the money is booked under " + v.SupersededBy}
	}
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if v.Status == "held" {
		say("held: its account is in no workspace; in no sum")
	}
	if v.Amount == 0 {
		say("nothing beyond what other entries have")
		return lines
	}
	text := FormatMinor(v.Amount, v.Currency) + " moved on " + Clock(v.OccurredAt)
	if v.Tax != 0 {
		text += ", of it " + FormatMinor(v.Tax, v.Currency) + " tax"
		if v.TaxDerived {
			text += " (its share of the sale's: Stripe does not say)"
		}
	}
	say("%s", text)
	switch v.FXSource {
	case "":
		say("no exchange rate is known for that day: in no sum in USD until one is")
	case "usd":
		if v.Tax != 0 {
			say("net %s", usd(v.NetUSD))
		}
	default:
		say("%s, net %s, by the rate %s", usd(v.AmountUSD), usd(v.NetUSD), rate(v.VersionRow))
	}
	return append(lines, v.credit()...)
}

func (v Version) credit() []string {
	reason := reasons[join.Rule(v.MatchRule)]
	if reason == "" {
		if v.MatchKey != "" {
			return []string{"not attributed: it waits for something that answers to " + v.MatchKey}
		}
		return []string{"not attributed: nothing in the sale leads to a click"}
	}
	lines := []string{fmt.Sprintf("credited by %s (%s): %s", v.MatchRule, v.MatchKey, reason)}
	clicked := ""
	if v.ClickedAt != nil {
		clicked = Clock(*v.ClickedAt) + ", " + before(v)
	}
	for _, f := range [][2]string{{"clicked", clicked}, {"affiliate", v.AffiliateID}, {"program", v.ProgramID},
		{"link", v.LinkID},
		{"source", v.UTMSource}, {"campaign", v.UTMCampaign}, {"country", v.Country}} {
		if f[1] != "" {
			lines = append(lines, fmt.Sprintf("  %-9s  %s", f[0], f[1]))
		}
	}
	return lines
}

func before(v Version) string {
	if d := v.OccurredAt.Sub(*v.ClickedAt); d >= 0 {
		return span(d) + " before"
	}
	return span(v.ClickedAt.Sub(v.OccurredAt)) + " after, by another clock"
}

// Text describes a lead's credit in one line.
func (l Lead) Text() string {
	switch {
	case l.Rule != string(join.RuleNone):
		text := "credited by " + l.Rule
		if l.ClickID != "" {
			text += ", click " + l.ClickID
		}
		if l.AffiliateID != "" {
			text += ", affiliate " + l.AffiliateID
		}
		return text
	case l.Key != "":
		return "waits for " + l.Key
	}
	return "nobody's"
}

func (p *printer) leads(leads []Lead) {
	p.say("Leads")
	rows := make([][]string, 0, len(leads))
	for _, l := range leads {
		rows = append(rows, []string{Clock(l.ReceivedAt), l.Event, l.ExternalID, l.Text()})
	}
	p.table(rows)
}
