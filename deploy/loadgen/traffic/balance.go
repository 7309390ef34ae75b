package traffic

import (
	"time"

	"github.com/shopspring/decimal"
)

// Types of balance transactions, by https://docs.stripe.com/reports/balance-transaction-types.
const (
	balanceCharge        = "charge"
	balanceRefund        = "refund"
	balanceRefundFailure = "refund_failure"
	balanceAdjustment    = "adjustment" // disputes, both ways
	balanceChargeFailure = "payment_failure_refund"
)

// BalanceTransaction is one change of the account's balance at Stripe: the figure that a ledger is
// reconciled with. What was paid outside Stripe has none.
type BalanceTransaction struct {
	ID       string // txn_…
	Account  string // acct_… of a connected account
	Livemode bool
	Source   string // ch_…, re_… or dp_…
	Type     string
	Amount   int64 // minor units of Currency, before the fee; money out is negative
	Fee      int64 // what Stripe keeps, positive
	Currency string
	Created  time.Time // UTC, whole seconds
	// ExchangeRate by which the movement's currency was settled in USD; zero where it was settled
	// in its own.
	ExchangeRate decimal.Decimal
}

// settle books what a movement did to the balance, and names the transaction.
func (s *buyer) settle(typ, source, suffix string, amount int64, currency string, at time.Time) BalanceTransaction {
	w := s.w
	t := BalanceTransaction{
		ID: "txn_" + source[3:] + suffix, Account: w.opts.Account, Livemode: !w.opts.TestMode, Source: source, Type: typ,
		Amount: amount, Currency: currency, Created: at.Truncate(time.Second),
	}
	if w.opts.SettleUSD && currency != "usd" {
		t.Amount, t.Currency, t.ExchangeRate = cents(amount, currency), "usd", USDRate(currency)
	}
	switch typ {
	case balanceCharge: // 2.9 % and 30 cents
		t.Fee = rounded(t.Amount*29, 1000) + whole(local(30, t.Currency), t.Currency)
	case balanceAdjustment:
		if amount < 0 {
			t.Fee = local(1500, t.Currency)
		}
	}
	w.Balance = append(w.Balance, t)
	return t
}

func (t BalanceTransaction) object() object {
	o := object{
		"id": t.ID, "object": "balance_transaction", "amount": t.Amount, "available_on": unix(t.Created.Add(48 * time.Hour)),
		"created":  unix(t.Created),
		"currency": t.Currency, "description": nil, "exchange_rate": nil, "fee": t.Fee, "fee_details": []object{},
		"net":                t.Amount - t.Fee,
		"reporting_category": t.Type, "source": t.Source, "status": "pending", "type": t.Type,
	}
	if !t.ExchangeRate.IsZero() {
		o["exchange_rate"] = number(t.ExchangeRate.String())
	}
	return o
}
