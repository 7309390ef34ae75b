//go:build unix && proof

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"tributary/deploy/loadgen/traffic"
)

// unconverted is the currency for which there is no rate: its money is booked without USD.
const unconverted = "mga"

// verdict is how the tables differ from what was accepted and from what is true.
type verdict struct {
	clicks, lost, doubled int // clicks stored, accepted and missing, stored more than once
	entries               int // booked
	wrong                 []string
}

func (v *verdict) report(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// judge compares everything that is stored with everything that was accepted and with the World's
// truth.
func (l *load) judge(w *traffic.World) (*verdict, error) {
	v := new(verdict)
	for _, part := range []func(*verdict) error{
		l.judgeClicks, l.judgeEvents, l.judgeLeads,
		func(v *verdict) error { return l.judgeLedger(v, w.Movements) },
		l.judgeViews,
	} {
		if err := part(v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (l *load) judgeClicks(v *verdict) error {
	rows, err := l.site.ask("SELECT UUIDNumToString(click_id), count() FROM clicks FINAL GROUP BY click_id")
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stored := make(map[string]bool, len(rows))
	for _, row := range rows {
		stored[row[0]] = true
		if row[1] != "1" {
			v.doubled++
			v.report("click %s is stored %s times", row[0], row[1])
		}
		if !l.sent[row[0]] {
			v.report("click %s is stored and was never sent", row[0])
		}
	}
	for id := range l.accepted {
		if !stored[id] {
			v.lost++
			v.report("click %s was answered 200 and is not there", id)
		}
	}
	v.clicks = len(rows)
	return nil
}

// judgeEvents compares Stripe's events byte for byte with what was signed.
func (l *load) judgeEvents(v *verdict) error {
	rows, err := l.site.ask("SELECT event_id, lower(hex(SHA256(body))) FROM stripe_events FINAL")
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stored := make(map[string]bool, len(rows))
	for _, row := range rows {
		if stored[row[0]] {
			v.doubled++
			v.report("event %s is stored twice", row[0])
		}
		stored[row[0]] = true
		if sum, ok := l.events[row[0]]; ok && sum != row[1] {
			v.report("event %s is not what was signed", row[0])
		}
	}
	for id := range l.events {
		if !stored[id] {
			v.lost++
			v.report("event %s was answered 200 and is not there", id)
		}
	}
	return nil
}

func (l *load) judgeLeads(v *verdict) error {
	rows, err := l.site.ask("SELECT external_id, count() FROM leads FINAL WHERE mode != 'stripe' GROUP BY external_id")
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stored := make(map[string]bool, len(rows))
	for _, row := range rows {
		stored[row[0]] = true
		if row[1] != "1" {
			v.doubled++
			v.report("the lead of %s is stored %s times", row[0], row[1])
		}
	}
	for id := range l.leads {
		if !stored[id] {
			v.lost++
			v.report("the lead of %s was answered 200 and is not there", id)
		}
	}
	return nil
}

// judgeLedger compares the ledger with the truth, movement by movement. Zero entries are left out:
// others have what was booked there.
func (l *load) judgeLedger(v *verdict, movements []traffic.Movement) error {
	rows, err := l.site.ask(`SELECT status, object_id, kind, sale_id, amount, currency, match_rule, UUIDNumToString(click_id), affiliate_id, toString(occurred_at, 'UTC'), toString(amount_usd)
FROM ledger FINAL WHERE status != 'superseded'`)
	if err != nil {
		return err
	}
	truth := make(map[string]traffic.Movement)
	for _, m := range movements {
		truth[m.Kind+" "+m.Object] = m
	}
	seen := make(map[string]bool)
	for _, row := range rows {
		status, object, kind, sale, amount, currency := row[0], row[1], row[2], row[3], row[4], row[5]
		key := kind + " " + object
		m, ok := truth[key]
		switch {
		case status == "held":
			v.report("%s is held, and every event about it has been delivered", key)
			continue
		case amount == "0":
			continue
		case !ok:
			v.report("%s: %s %s are booked, and nothing moved", key, amount, currency)
			continue
		case seen[key]:
			v.doubled++
			v.report("%s is booked twice", key)
			continue
		}
		seen[key] = true
		v.entries++
		want := []string{m.Sale, fmt.Sprint(m.Amount), m.Currency, m.Rule, m.ClickID.String(), m.AffiliateID,
			m.OccurredAt.UTC().Format("2006-01-02 15:04:05.000"), dollars(m)}
		got := append([]string{sale, amount, currency}, row[6:]...)
		if usd, err := decimal.NewFromString(got[7]); err == nil {
			got[7] = usd.StringFixed(6)
		}
		if !slices.Equal(got, want) {
			v.report("%s is %q; in truth %q", key, got, want)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(truth)) {
		if m := truth[key]; !seen[key] {
			v.lost++
			v.report("%s: %d %s moved, and are not booked", key, m.Amount, m.Currency)
		}
	}
	return nil
}

// dollars at the rates that writeRates wrote, as ClickHouse writes them: \N without a rate.
func dollars(m traffic.Movement) string {
	if m.Currency == unconverted {
		return `\N`
	}
	return decimal.New(m.Amount, -traffic.Exponent(m.Currency)).Mul(traffic.USDRate(m.Currency)).RoundBank(
		6).StringFixed(6)
}

// judgeViews compares what dashboards read with the ledger, and looks for dead letters.
func (l *load) judgeViews(v *verdict) error {
	revenue, err := l.site.ask("SELECT currency, sum(amount), count() FROM revenue FINAL WHERE status = 'booked' AND " +
		"amount != 0 GROUP BY currency ORDER BY currency")
	if err != nil {
		return err
	}
	ledger, err := l.site.ask("SELECT currency, sum(amount), count() FROM ledger_current GROUP BY currency " +
		"ORDER BY currency")
	if err != nil {
		return err
	}
	if fmt.Sprint(revenue) != fmt.Sprint(ledger) {
		v.report("revenue sums %v, the ledger %v", revenue, ledger)
	}
	letters, err := l.site.ask("SELECT reason, step, topic, error FROM dead_letters FINAL LIMIT 5")
	if err != nil {
		return err
	}
	for _, letter := range letters {
		v.report("dead letter: %s", strings.Join(letter, " "))
	}
	return nil
}
