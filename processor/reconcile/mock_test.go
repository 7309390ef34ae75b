package reconcile

import (
	"testing"

	"tributary/processor/stripeapi/stripemock"
)

func TestAgainstStripeMock(t *testing.T) {
	period, err := NewPeriod("2026-03-01", "2026-03-31")
	if err != nil {
		t.Fatal(err)
	}
	api := &API{Client: client(t, stripemock.Start(t), stripemock.Key)}
	var list []Transaction
	if err := api.Transactions(t.Context(), period,
		func(x Transaction) error { list = append(list, x); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 || list[0].ID == "" || list[0].Source == "" || list[0].Currency == "" || list[0].Category == "" {
		t.Errorf("%+v", list)
	}
}
