package stripe

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tributary/schemas"
)

const thinInvoice = `{"id":"evt_1","object":"v2.core.event","type":"v1.invoice.paid","created":"2026-03-20T09:46:40.000Z","livemode":true,
"related_object":{"id":"in_1","type":"invoice","url":"/v1/invoices/in_1"},"snapshot_event":"evt_2"}`

// Every type that is read as a snapshot is known as a thin event.
func TestThinTypes(t *testing.T) {
	for typ, f := range families {
		name := "v1." + typ
		if strings.HasPrefix(typ, "v2.") {
			name = typ
		}
		body := strings.ReplaceAll(thinInvoice, "v1.invoice.paid", name)
		thin, err := ReadThin([]byte(body))
		if err != nil || !thin.Known() || thin.SnapshotType() != typ || thin.Snapshot != "evt_2" ||
			thin.Object != "/v1/invoices/in_1" {
			t.Errorf("%s: %+v, %v", typ, thin, err)
		}
		facts, err := Read(&schemas.StripeEvent{Body: []byte(body)})
		if err != nil || !facts.Thin || !facts.Known || !facts.Created.Equal(time.Unix(1774000000, 0)) ||
			len(facts.Money)+len(facts.Names) > 0 {
			t.Errorf("%s: %+v, %v", typ, facts, err)
		}
		if f.object == "" {
			t.Errorf("%s has no object", typ)
		}
	}
	for _, typ := range []string{"v1.payout.paid", "v2.billing.meter.no_meter_found", "v1.v2.core.account.closed"} {
		facts, err := Read(&schemas.StripeEvent{Body: []byte(strings.ReplaceAll(thinInvoice, "v1.invoice.paid", typ))})
		if err != nil || facts.Thin || facts.Known {
			t.Errorf("%s: %+v, %v", typ, facts, err)
		}
	}
}

// An event made around a fetched object says what the snapshot would say, but for its id, and
// follows from the thin event alone.
func TestThinObject(t *testing.T) {
	const invoice = `{"id":"in_1","object":"invoice","currency":"usd","amount_paid":4200,"total":4200,"customer":"cus_1"}`
	thin, err := ReadThin([]byte(thinInvoice))
	if err != nil {
		t.Fatal(err)
	}
	id, body, err := thin.Event([]byte(invoice), "2023-10-16")
	if err != nil || id != "evt_1_object" || !strings.Contains(string(body), invoice) ||
		!strings.Contains(string(body), `"fetched_from":"/v1/invoices/in_1"`) {
		t.Fatalf("%s %s %v", id, body, err)
	}
	made, err := Read(&schemas.StripeEvent{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := `{"id":"evt_1_object","object":"event","type":"invoice.paid","created":1774000000,"livemode":true,"data":{"object":` + invoice + `}}`
	if want, err := Read(&schemas.StripeEvent{Body: []byte(snapshot)}); err != nil || !reflect.DeepEqual(made, want) {
		t.Errorf("%+v, want %+v, %v", made, want, err)
	}
	for _, other := range []string{`{"id":"ch_1","object":"charge"}`, `[]`, `{"object":"invoice"`, `"invoice"`, ``} {
		if _, _, err := thin.Event([]byte(other), "2023-10-16"); !errors.Is(err, ErrNoObject) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

// A customer that is an account has names as any customer has; a connected account is known by the
// record, whatever the body says.
func TestThinAccount(t *testing.T) {
	body := strings.ReplaceAll(thinInvoice, "v1.invoice.paid", "v2.core.account[configuration.customer].updated")
	thin, err := ReadThin([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	_, made, err := thin.Event([]byte(
		`{"id":"acct_9","object":"v2.core.account","metadata":{"tributaryAffiliateId":"a1"}}`), "")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := Read(&schemas.StripeEvent{Body: made})
	if err != nil || !facts.Known || len(facts.Names) != 1 || facts.Names[0].A != "customer:acct_9" ||
		facts.Names[0].B != "affiliate:a1" {
		t.Errorf("%+v, %v", facts, err)
	}
	payment := `{"id":"evt_3","object":"event","type":"payment_intent.succeeded","created":1774000000,"livemode":true,"data":{"object":
{"id":"pi_1","object":"payment_intent","amount_received":100,"currency":"usd"}}}`
	facts, err = Read(&schemas.StripeEvent{Account: "acct_1", Body: []byte(payment)})
	if err != nil || len(facts.Money) != 1 || facts.Money[0].Account != "acct_1" {
		t.Errorf("%+v, %v", facts, err)
	}
	// The webhook has judged the record's account.
	other := strings.Replace(payment, "{", `{"account":"acct_2",`, 1)
	facts, err = Read(&schemas.StripeEvent{Account: "acct_1", Body: []byte(other)})
	if err != nil || len(facts.Money) != 1 || facts.Money[0].Account != "acct_1" {
		t.Errorf("%+v, %v", facts, err)
	}
}

func TestThinRefused(t *testing.T) {
	var shape *ShapeError
	for _, created := range []string{"yesterday", "1960-01-01T00:00:00Z", "2300-01-01T00:00:00Z", ""} {
		body := strings.ReplaceAll(thinInvoice, "2026-03-20T09:46:40.000Z", created)
		if _, err := Read(&schemas.StripeEvent{Body: []byte(body)}); !errors.As(err, &shape) {
			t.Errorf("%q: %v", created, err)
		}
	}
	for _, body := range []string{`{`, `{"object":"event"}`, `{"object":"v2.core.event","type":"v1.invoice.paid"}`} {
		if _, err := ReadThin([]byte(body)); !errors.Is(err, ErrNotEvent) {
			t.Errorf("%q: %v", body, err)
		}
	}
}
