package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
	"tributary/processor/join"
	"tributary/processor/ledger"
)

// reasons describe each rule for people.
var reasons = map[join.Rule]string{
	join.RuleManual:         "somebody decided it by hand",
	join.RuleClickID:        "the sale itself names the click",
	join.RuleSubscription:   "its subscription is known by this click",
	join.RuleExternal:       "the seller's own id of the buyer is tied to this click",
	join.RuleStripeCustomer: "the Stripe customer is tied to this click",
	join.RuleAffiliate:      "an affiliate is named, and no single click is known",
	join.RulePromotionCode:  "the promotion code belongs to an affiliate",
	join.RuleReference:      "the sale repeats a name that only the public gave, which is weak evidence",
	join.RuleEmail:          "the buyer's e-mail address was seen with this click, which is weak evidence",
	join.RuleSale:           "it belongs to a sale, and is credited like it",
}

// outcome describes what became of one candidate. w.List begins with the credited one, if there is
// any.
func outcome(w ledger.Evaluation, c join.Candidate, policy Policy) string {
	switch c.Outcome {
	case join.Credited:
		return reasons[c.Rule]
	case join.Outranked:
		credited := w.List[0]
		switch {
		case credited.Click != nil && c.Click != nil && credited.Click.ID == c.Click.ID:
			return "the same click, by another name"
		case credited.Rule != c.Rule:
			return fmt.Sprintf("counts less: %s outranks %s", phrase(credited.Rule), phrase(c.Rule))
		case credited.Click != nil && c.Click != nil && credited.Click.ClickedAt.Before(c.Click.ClickedAt):
			return "counts less: it was clicked later, and this workspace credits the first touch"
		case credited.Click != nil && c.Click != nil:
			return "counts less: it was clicked earlier, and this workspace credits the last touch"
		}
		return "counts less: the credited affiliate was named closer to the sale"
	case join.TooOld:
		if policy.RenewalsDays > 0 && days(w.First.Sub(c.Click.ClickedAt)) > policy.RenewalsDays {
			return fmt.Sprintf("too old: clicked %s before the sale; later sales of a buyer are credited for %d days",
				span(w.First.Sub(c.Click.ClickedAt)), policy.RenewalsDays)
		}
		return fmt.Sprintf("too old: clicked %s before the sale; the attribution window is %d days",
			span(w.First.Sub(c.Click.ClickedAt)), policy.WindowDays)
	case join.TooLate:
		return fmt.Sprintf("too late: clicked %s after the sale; it may be credited with the buyer's next one",
			span(c.Click.ClickedAt.Sub(w.Last)))
	case join.Replaced:
		return "replaced: the metadata field that named it had another value at the sale"
	case join.Unproven:
		return "not proven: only the public gave this click its name, which could be guessed, or gave it after the sale"
	}
	return "nothing that is known answers to this name, yet"
}

// phrase names a rule in a sentence.
func phrase(r join.Rule) string {
	switch r {
	case join.RuleClickID:
		return "the click that the sale itself names"
	case join.RuleSubscription:
		return "the subscription's click"
	case join.RuleExternal:
		return "the click of the seller's own buyer id"
	case join.RuleStripeCustomer:
		return "the Stripe customer's click"
	case join.RuleAffiliate:
		return "a named affiliate"
	case join.RulePromotionCode:
		return "a promotion code"
	case join.RuleReference:
		return "a name that only the public gave"
	case join.RuleEmail:
		return "an e-mail address"
	}
	return strings.ReplaceAll(string(r), "_", " ")
}

// first describes an entry's first version.
func first(row VersionRow) string {
	text := FormatMinor(row.Amount, row.Currency)
	if row.Status == "held" {
		text += ", held"
	}
	if row.MatchRule == string(join.RuleNone) {
		return text + ", nobody's"
	}
	return text + ", credited by " + row.MatchRule
}

// because describes what was learned since the version before.
func because(learned ledger.Learned, before, row VersionRow, sale Sale) string {
	switch learned {
	case ledger.LearnedSuperseded:
		return row.SupersededBy + " is the same money"
	case ledger.LearnedByHand:
		return "it was corrected by hand"
	case ledger.LearnedCrowded:
		return "too many payments of the buyer lie near each other to tell which of them are an invoice's"
	case ledger.LearnedEarlier:
		return "an earlier report of what was known was found"
	case ledger.LearnedMore:
		return more(before, row, sale)
	case ledger.LearnedRules:
		return "a later version of the processor booked it"
	case ledger.LearnedRate:
		if row.FXSource == "stripe" {
			return "what Stripe settled is known"
		}
		return "a better exchange rate is known"
	}
	return ""
}

// more says what one more fact, name or click did.
func more(before, row VersionRow, sale Sale) string {
	switch {
	case row.FXSource == "stripe" && before.FXSource != "stripe":
		return "what Stripe settled is known"
	case row.ClickID != before.ClickID:
		if i := slices.IndexFunc(sale.Candidates, func(c Candidate) bool {
			return c.ClickID != "" &&
				c.ClickID == row.ClickID
		}); i >= 0 {
			return fmt.Sprintf("the click and its name are both known; the click reached us on %s",
				Clock(*sale.Candidates[i].ReceivedAt))
		}
		fallthrough
	case row.MatchRule != before.MatchRule || row.AffiliateID != before.AffiliateID:
		return "a name that outranks the ones before is known"
	case row.Kind != "payment" && row.Amount != before.Amount:
		return "more is known of what was given back"
	case row.Amount != before.Amount:
		return "more is known of what was paid"
	}
	return "one more name, click or event of it is known"
}

// changes lists what a version changed, column by column.
func changes(a, b VersionRow) []string {
	list := []string{}
	note := func(what, from, to string) {
		if from != to {
			list = append(list, fmt.Sprintf("%s %s → %s", what, orNothing(from), orNothing(to)))
		}
	}
	note("status", a.Status, b.Status)
	if b.Status == "superseded" {
		return list // the canonical entry has its money and credit
	}
	note("amount", FormatMinor(a.Amount, a.Currency), FormatMinor(b.Amount, b.Currency))
	note("tax", FormatMinor(a.Tax, a.Currency), FormatMinor(b.Tax, b.Currency))
	note("sale", a.SaleID, b.SaleID)
	note("customer", a.CustomerID, b.CustomerID)
	note("rule", a.MatchRule, b.MatchRule)
	note("key", a.MatchKey, b.MatchKey)
	note("click", a.ClickID, b.ClickID)
	note("affiliate", a.AffiliateID, b.AffiliateID)
	note("program", a.ProgramID, b.ProgramID)
	note("moved on", Clock(a.OccurredAt), Clock(b.OccurredAt))
	note("USD", usd(a.AmountUSD), usd(b.AmountUSD))
	note("rate", rate(a), rate(b))
	note("other candidates", strings.Join(a.MatchCandidates, ", "), strings.Join(b.MatchCandidates, ", "))
	return list
}

func rate(v VersionRow) string {
	if v.FXSource == "" || v.FXSource == "usd" {
		return ""
	}
	text := v.FXRate + " of " + v.FXDate.Format(time.DateOnly) + " (" + v.FXSource
	if !v.FXFinal {
		text += ", provisional"
	}
	return text + ")"
}

func orNothing(s string) string {
	if strings.TrimSpace(s) == "" {
		return "nothing"
	}
	return s
}

// Clock formats a time, UTC.
func Clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// span formats a duration, less exactly if it is long.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	case d >= time.Minute:
		text := strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
		return strings.Replace(text, "h0m", "h", 1)
	}
	return d.Round(time.Second).String()
}

// usd formats a stored decimal without its trailing zeros.
func usd(text string) string {
	d, err := decimal.NewFromString(text)
	if err != nil {
		return ""
	}
	return d.String() + " USD"
}

// FormatMinor formats minor units by Stripe's exponent.
func FormatMinor(minor int64, currency string) string {
	exponent, known := fx.Exponent(currency)
	if !known {
		return fmt.Sprintf("%d minor units of %s", minor, currency)
	}
	return decimal.New(minor, int32(-exponent)).StringFixed(int32(exponent)) + " " + strings.ToUpper(currency)
}
