package histories

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tributary/deploy/loadgen/traffic"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/ledger"
)

// rates are those that traffic settles at, but none for mga: what has no rate is booked without
// USD.
func rates() clickhousetest.FixedRates {
	r := make(clickhousetest.FixedRates)
	for _, c := range traffic.Currencies {
		if c != "mga" {
			r[c] = traffic.USDRate(c).String()
		}
	}
	return r
}

// difference is one way in which a ledger is not the truth.
type difference struct {
	ids  []string // the sale's, for its log
	text string
}

// truth is what a World says its ledger must be.
type truth struct {
	world     *traffic.World
	movements map[string][]traffic.Movement // by object and kind: a dispute may be withdrawn twice
	sales     map[string]traffic.Movement   // by invoice or payment: its payments, summed
	balance   map[string]traffic.BalanceTransaction
	taxes     map[string]int64 // of what went back, by object and kind
	failed    map[string]bool  // charges
	account   string
	usd       bool // Stripe settled in USD
}

func truthOf(w *traffic.World, o traffic.Options) *truth {
	t := &truth{world: w, movements: map[string][]traffic.Movement{}, sales: map[string]traffic.Movement{},
		balance: map[string]traffic.BalanceTransaction{}, account: o.Account, usd: o.SettleUSD}
	for _, m := range w.Movements {
		key := m.Object + " " + m.Kind
		t.movements[key] = append(t.movements[key], m)
		if m.Kind != traffic.Payment {
			continue
		}
		sum, paid := t.sales[m.Sale]
		t.sales[m.Sale] = m
		if paid {
			m.Amount, m.Tax = m.Amount+sum.Amount, m.Tax+sum.Tax
			m.Aliases = slices.Concat(m.Aliases, sum.Aliases)
			t.sales[m.Sale] = m
		}
	}
	for _, b := range w.Balance {
		t.balance[b.ID] = b
	}
	t.taxes, t.failed = taxes(w.Movements), failedCharges(w.Movements)
	return t
}

// failedCharges returns the charges that failed after they had paid: the bank took back what was
// left of their payments.
func failedCharges(movements []traffic.Movement) map[string]bool {
	failed := make(map[string]bool)
	for _, m := range movements {
		if m.Kind == traffic.Refund && m.Object == m.Charge {
			failed[m.Charge] = true
		}
	}
	return failed
}

// pool is what money goes back of: a payment whose charge failed, or the rest of its sale.
type pool struct{ sale, failed string }

func poolOf(m traffic.Movement, failed map[string]bool) pool {
	if failed[m.Charge] {
		return pool{m.Sale, m.Charge}
	}
	return pool{m.Sale, ""}
}

// taxes of what went back. A payment that failed takes its own along. Of the rest of a sale all
// that went back by then takes its share of the tax, half to even; each movement what is left of
// that. What was paid beyond the sale's total goes back first, and has none. A refund whose credit
// note states its tax has that, and the others share what is left.
func taxes(movements []traffic.Movement) map[string]int64 {
	var out []traffic.Movement
	failed, paid := failedCharges(movements), make(map[pool]traffic.Movement)
	for _, m := range movements {
		if m.Kind != traffic.Payment {
			out = append(out, m)
			continue
		}
		of := poolOf(m, failed)
		sum := paid[of]
		sum.Amount, sum.Tax, sum.Beyond = sum.Amount+m.Amount, sum.Tax+m.Tax, sum.Beyond+m.Beyond
		paid[of] = sum
	}
	shares, back, stated := make(map[string]int64), make(map[pool]int64), make(map[pool]statedTax)
	for _, m := range out {
		stated[poolOf(m, failed)] = stated[poolOf(m, failed)].plus(m)
	}
	taken := make(map[pool]statedTax)
	slices.SortFunc(out, func(a, b traffic.Movement) int {
		return cmp.Or(a.OccurredAt.Compare(b.OccurredAt),
			cmp.Compare(min(max(a.Amount, -1), 1), min(max(b.Amount, -1), 1)),
			cmp.Compare(a.Kind+a.Object, b.Kind+b.Object))
	})
	for _, m := range out {
		of := poolOf(m, failed)
		sale := paid[of]
		if sale.Tax == 0 {
			continue
		}
		if m.Stated {
			was := taken[of]
			taken[of] = was.plus(m)
			shares[m.Object+" "+m.Kind+" "+m.Balance] = min(was.tax, sale.Tax) - min(taken[of].tax, sale.Tax)
			continue
		}
		tax, due := stated[of].rest(sale.Tax, sale.Amount-sale.Beyond)
		share := func(amount int64) int64 { return taxShare(tax, amount-sale.Beyond, due) }
		before := back[of]
		back[of] = before - m.Amount
		shares[m.Object+" "+m.Kind+" "+m.Balance] = share(before) - share(before-m.Amount)
	}
	return shares
}

// statedTax is what credit notes say went back, and how much of it is tax; both positive.
type statedTax struct{ amount, tax int64 }

func (t statedTax) plus(m traffic.Movement) statedTax {
	if m.Stated {
		t.amount, t.tax = t.amount-m.Amount, t.tax-m.Tax
	}
	return t
}

// rest returns what is left of a tax, and of the amount that it is of.
func (t statedTax) rest(tax, amount int64) (int64, int64) {
	return tax - min(t.tax, tax), max(0, amount-t.amount)
}

// taxShare returns the share of a sale's tax that went back with an amount, half to even. A dispute
// may claim what was refunded before: never more than all of the tax goes back.
func taxShare(tax, amount, sale int64) int64 {
	if sale == 0 {
		return 0
	}
	amount = min(max(amount, 0), sale)
	share := decimal.NewFromInt(tax).Mul(decimal.NewFromInt(amount)).DivRound(decimal.NewFromInt(sale), 12)
	return share.RoundBank(0).IntPart()
}

// ids are the names by which a sale's log is found.
func (t *truth) ids(sale string) []string {
	m := t.sales[sale]
	ids := append([]string{sale, m.Customer, m.ClickID.String()}, m.Aliases...)
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" || strings.HasPrefix(id, "00000000-") })
}

// differences compares a ledger with the truth, movement by movement. Zero entries are left out:
// others have what was booked there.
func (t *truth) differences(entries []ledger.Entry) []difference {
	var out []difference
	sold := make(map[poolCurrency]map[string]int64)
	left := make(map[string][]traffic.Movement, len(t.movements))
	for key, movements := range t.movements {
		left[key] = slices.Clone(movements)
	}
	report := func(e ledger.Entry, format string, args ...any) {
		out = append(out, difference{t.ids(e.SaleID), fmt.Sprintf("%s %s: ", e.Kind, e.ObjectID) +
			fmt.Sprintf(format, args...)})
	}
	for _, e := range entries {
		key := e.ObjectID + " " + e.Kind
		switch e.Status {
		case ledger.Held:
			report(e, "is held, and everything about it has been delivered")
			continue
		case ledger.Superseded:
			if e.Amount != 0 || e.Tax != 0 || e.Shipping != 0 || e.Discount != 0 || e.AmountUSD != nil ||
				e.NetUSD != nil {
				report(e, "is superseded and sums %d", e.Amount)
			}
			if _, ok := t.movements[key]; ok {
				report(e, "is superseded by %s, and is the canonical object", e.SupersededBy)
			}
			continue
		}
		if e.Amount == 0 {
			continue
		}
		if len(left[key]) == 0 {
			report(e, "%d %s are booked, and nothing moved", e.Amount, e.Currency)
			continue
		}
		n := max(0, slices.IndexFunc(left[key], func(m traffic.Movement) bool { return m.OccurredAt.Equal(e.OccurredAt) }))
		m := left[key][n]
		left[key] = slices.Delete(left[key], n, n+1)
		for _, text := range t.compare(m, e) {
			report(e, "%s", text)
		}
		addProducts(sold, poolCurrency{poolOf(m, t.failed), e.Currency}, e)
	}
	for of, products := range sold {
		if products[""] != 0 {
			continue // something is left
		}
		for product, net := range products {
			if net != 0 {
				out = append(out, difference{t.ids(of.sale), fmt.Sprintf("%v: all of it went back, and %d of product %q are left",
					of, net, product)})
			}
		}
	}
	for _, movements := range left {
		for _, m := range movements {
			out = append(out, difference{t.ids(m.Sale), fmt.Sprintf("%s %s: %d %s moved, and are not booked", m.Kind,
				m.Object, m.Amount, m.Currency)})
		}
	}
	slices.SortFunc(out, func(a, b difference) int { return strings.Compare(a.text, b.text) })
	return out
}

// poolCurrency is a pool in one of its currencies.
type poolCurrency struct {
	pool
	currency string
}

// addProducts adds what each product has of an entry, and under no name all of it.
func addProducts(sold map[poolCurrency]map[string]int64, of poolCurrency, e ledger.Entry) {
	if sold[of] == nil {
		sold[of] = make(map[string]int64)
	}
	sold[of][""] += e.Amount - e.Tax
	for _, p := range e.Products {
		if p.Product != "" {
			sold[of][p.Product] += p.Net
		}
	}
}

// compare one movement with its entry.
func (t *truth) compare(m traffic.Movement, e ledger.Entry) (faults []string) {
	differ := func(what string, got, want any) {
		if got != want {
			faults = append(faults, fmt.Sprintf("%s is %v; in truth %v", what, got, want))
		}
	}
	differ("amount", e.Amount, m.Amount)
	differ("currency", e.Currency, m.Currency)
	differ("tax", e.Tax, t.tax(m))
	if len(e.Products) > 0 {
		differ("the sum of its products", sumOfProducts(e), e.Amount-e.Tax)
	}
	differ("shipping", e.Shipping, m.Shipping)
	differ("discount", e.Discount, m.Discount)
	differ("sale_id", e.SaleID, m.Sale)
	differ("occurred_at", e.OccurredAt.Format(time.RFC3339), m.OccurredAt.Format(time.RFC3339))
	differ("livemode", e.Livemode, m.Livemode)
	differ("account", e.Account, t.account)
	differ("customer_id", e.CustomerID, m.Customer)
	differ("match_rule", string(e.MatchRule), m.Rule)
	differ("click_id", e.Click.ID.String(), m.ClickID.String())
	differ("affiliate_id", e.Click.AffiliateID, m.AffiliateID)
	amount, net := t.dollars(m, m.Amount), t.dollars(m, m.Amount-t.tax(m))
	differ("amount_usd", text(e.AmountUSD), text(amount))
	if m.Kind == traffic.Payment || amount == nil || t.balance[m.Balance].Currency == m.Currency {
		differ("net_usd", text(e.NetUSD), text(net))
	}
	return faults
}

func sumOfProducts(e ledger.Entry) (sum int64) {
	for _, p := range e.Products {
		sum += p.Net
	}
	return sum
}

// tax of a movement.
func (t *truth) tax(m traffic.Movement) int64 {
	if m.Kind == traffic.Payment {
		return m.Tax
	}
	return t.taxes[m.Object+" "+m.Kind+" "+m.Balance]
}

// dollars converts at the published rate; a dispute says itself what Stripe settled it at. nil:
// there is no rate.
func (t *truth) dollars(m traffic.Movement, amount int64) *decimal.Decimal {
	if b := t.balance[m.Balance]; b.Currency != m.Currency && amount == m.Amount &&
		(m.Kind == traffic.Dispute || m.Kind == traffic.DisputeReversal) {
		settled := decimal.New(b.Amount, -2)
		return &settled
	}
	if m.Currency == "mga" {
		return nil
	}
	usd := decimal.New(amount, -traffic.Exponent(m.Currency)).Mul(traffic.USDRate(m.Currency)).RoundBank(6)
	return &usd
}

func text(d *decimal.Decimal) string {
	if d == nil {
		return "NULL"
	}
	return d.StringFixed(6)
}

// day is one UTC day of one account's balance in one currency.
type day struct{ account, currency, date string }

// reconcile compares the sums of the ledger with those of Stripe's balance, by account, currency
// and UTC day of occurred_at. Every day must match, but for a payment within two seconds of
// midnight: its charge is made on one day and its session completes on the next. Such a balance
// transaction is counted on the movement's day.
func (t *truth) reconcile(entries []ledger.Entry) []difference {
	booked, balance := make(map[day]decimal.Decimal), make(map[day]decimal.Decimal)
	var out []difference
	moved := make(map[string]traffic.Movement)
	for _, m := range t.world.Movements {
		if m.Balance != "" {
			moved[m.Balance] = m
		}
	}
	for _, e := range entries {
		m := t.movements[e.ObjectID+" "+e.Kind]
		if e.Status != ledger.Booked || len(m) > 0 && m[0].Balance == "" {
			continue // paid outside Stripe
		}
		d := day{e.Account, e.Currency, e.OccurredAt.UTC().Format(time.DateOnly)}
		amount := decimal.New(e.Amount, 0)
		if t.usd {
			d.currency, amount = "usd", decimal.Zero
			if e.AmountUSD != nil {
				amount = e.AmountUSD.Round(2).Shift(2)
			}
		}
		booked[d] = booked[d].Add(amount)
	}
	for _, b := range t.world.Balance {
		m := moved[b.ID]
		if gap := m.OccurredAt.Sub(b.Created).Abs(); gap > 2*time.Second {
			out = append(out, difference{t.ids(m.Sale), fmt.Sprintf("%s moved at %s and occurred at %s", b.ID,
				b.Created, m.OccurredAt)})
		}
		d := day{b.Account, b.Currency, m.OccurredAt.UTC().Format(time.DateOnly)}
		balance[d] = balance[d].Add(decimal.New(b.Amount, 0))
	}
	for _, d := range slices.SortedFunc(maps.Keys(union(booked, balance)),
		func(a, b day) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		if !booked[d].Equal(balance[d]) {
			out = append(out, difference{nil, fmt.Sprintf("%v: the ledger sums %s, Stripe's balance %s", d, booked[d],
				balance[d])})
		}
	}
	return out
}

func union[V any](a, b map[day]V) map[day]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
