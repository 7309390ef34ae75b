package identity

import (
	"testing"
	"time"
)

// An hour is renamed for its own customer only, whatever the ids contain.
func TestHourOfCustomer(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, account := range []string{"", "acct_1", "movements/anna"} {
		for _, customer := range []string{"cus_1", "anna", "a/b", "live"} {
			hour := Hour(PaymentHour, account, true, customer, "usd", at)
			if got := hour.OfCustomer(customer, "x"); got != Hour(PaymentHour, account, true, "x", "usd", at) {
				t.Errorf("%s of x is %s", hour, got)
			}
			for _, other := range []string{"cus_2", "cus_11", "usd", "movements"} {
				if got := hour.OfCustomer(other, "x"); got != hour {
					t.Errorf("%s of %s's is %s", hour, other, got)
				}
			}
		}
	}
	if n := New(Customer, "cus_1"); n.OfCustomer("cus_1", "x") != n {
		t.Error("a customer is taken for an hour")
	}
}
