package clicks

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/schemas"
)

const acme = "Authorization: Bearer sk_acme"

// A movement is stored as an event of its workspace; sent again it is the same event.
func TestMovements(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	next := func() *schemas.StripeEvent {
		t.Helper()
		r := e.records(1)[0]
		got, err := schemas.DecodeStripe(r)
		if err != nil || r.Topic != schemas.TopicStripe || len(r.Key) == 0 {
			t.Fatalf("%v in %s", err, r.Topic)
		}
		return got
	}
	whole := `{"kind":"payment","id":" order_1 ","amount":4900,"tax":900,"currency":"EUR","time":"2026-03-02T12:00:00+02:00","click_id":"abc",
"external_id":"u1","affiliate_id":"ann","promotion_code":"SPRING","customer_id":"c1","subscription_id":"s1","product_id":"book","email":"a@example.com","test":false}`
	e.want(e.do("POST", "/v1/movements", whole, acme), 200, "")
	first := next()
	var body struct {
		Created int64
		Data    struct {
			Object struct {
				ID       string
				Amount   int64 `json:"amount_total"`
				Currency string
				Metadata map[string]string
			}
		}
	}
	if err := json.Unmarshal(first.Body, &body); err != nil {
		t.Fatal(err)
	}
	if o := body.Data.Object; o.ID != "order_1" || o.Amount != 4900 || o.Currency != "eur" || len(o.Metadata) != 5 ||
		o.Metadata["product_id"] != "book" || body.Created != time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC).Unix() || first.Account != "movements/acme" ||
		!first.Livemode {
		t.Errorf("%+v: %s", first, first.Body)
	}
	e.want(e.do("POST", "/v1/movements", whole, acme), 200, "")
	if again := next(); again.ID != first.ID {
		t.Errorf("%s and %s", first.ID, again.ID)
	}
	e.want(e.do("POST", "/v1/movements",
		`{"kind":"refund","id":"order_1","parent":"order_1","amount":100,"currency":"eur"}`, acme), 200, "")
	if refund := next(); refund.Type != "refund.created" {
		t.Errorf("%+v", refund)
	}
	e.nothing()
}

func TestMovementsRefused(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	const good = `{"kind":"payment","id":"o","amount":1,"currency":"eur"}`
	for body, code := range map[string]string{
		strings.Replace(good, `"payment"`, `"sale"`, 1):                  "bad_kind",
		strings.Replace(good, `"kind"`, `"Kinds"`, 1):                    "unknown_field",
		strings.Replace(good, `"o"`, `" "`, 1):                           "bad_id",
		strings.Replace(good, `"o"`, `"pi_1"`, 1):                        "bad_id",
		strings.Replace(good, `"o"`, `"test/1"`, 1):                      "bad_id",
		strings.Replace(good, `"o"`, `7`, 1):                             "bad_movement_field",
		strings.Replace(good, `"o"`, `"o","parent":"p"`, 1):              "bad_parent",
		strings.Replace(good, `"payment"`, `"refund"`, 1):                "bad_parent",
		strings.Replace(good, `1`, `0`, 1):                               "bad_amount",
		strings.Replace(good, `1`, `-1`, 1):                              "bad_amount",
		strings.Replace(good, `1`, `1.5`, 1):                             "bad_amount",
		strings.Replace(good, `1`, `1e-3`, 1):                            "bad_amount",
		strings.Replace(good, `1`, `1e13`, 1):                            "bad_amount",
		strings.Replace(good, `1`, `"1"`, 1):                             "bad_amount",
		strings.Replace(good, `1`, `1000000000001`, 1):                   "bad_amount",
		strings.Replace(good, `,"amount":1`, ``, 1):                      "bad_amount",
		strings.Replace(good, `1`, `1,"tax":2`, 1):                       "bad_tax",
		strings.Replace(good, `1`, `1,"tax":null`, 1):                    "bad_tax",
		strings.Replace(good, `"eur"`, `"zzz"`, 1):                       "bad_currency",
		strings.Replace(good, `1`, `1,"time":"yesterday"`, 1):            "bad_movement_time",
		strings.Replace(good, `1`, `1,"time":"1999-01-01T00:00:00Z"`, 1): "bad_movement_time",
		// in 1999 where it counts, whatever the sender's calendar says
		strings.Replace(good, `1`, `1,"time":"2000-01-01T13:00:00+14:00"`, 1): "bad_movement_time",
		strings.Replace(good, `1`, `1,"time":"2026-01-02T03:04:05"`, 1):       "bad_movement_time",
		strings.Replace(good, `1`, `1,"time":"26-01-02T03:04:05Z"`, 1):        "bad_movement_time",
		strings.Replace(good, `1`, `1,"time":"01/02/2026 03:04:05"`, 1):       "bad_movement_time",
		strings.Replace(good, `1`, `1,"time":"2999-01-01T00:00:00Z"`, 1):      "bad_movement_time",
		strings.Replace(good, `1`, `1,"time":"2026-01-02T3:04:05Z"`, 1):       "bad_movement_time",
		strings.Replace(good, `1`, `1,"time":"2026-01-02T03:04:05,6Z"`, 1):    "bad_movement_time",
		strings.Replace(good, `"o"`, `"`+strings.Repeat("o", 201)+`"`, 1):     "too_long",
		strings.Replace(good, `"kind"`, `"Kind"`, 1):                          "unknown_field",
		strings.Replace(good, `1`, `1,"te\u017ft":true`, 1):                   "unknown_field",
		strings.Replace(good, `1`, `1,"amount":2`, 1):                         "repeated_field",
		strings.Replace(good, `1`, `1,"amoun\u0074":1`, 1):                    "repeated_field",
		strings.Replace(good, `"o"`, "\"o\xff\"", 1):                          "bad_unicode",
		strings.Replace(good, `"o"`, `"o\ud800"`, 1):                          "bad_unicode",
		strings.Replace(good, `1`, `-0`, 1):                                   "bad_amount",
		strings.Replace(good, `1`, `1,"time":1772445600000`, 1):               "bad_movement_field",
		strings.Replace(good, `1`, `1,"time":"1772445600"`, 1):                "bad_movement_time",
		good + good: "bad_movement",
		`null`:      "bad_kind",
		`[]`:        "bad_movement",
		`{`:         "bad_movement",
	} {
		e.want(e.do("POST", "/v1/movements", body, acme), 400, code)
	}
	e.want(e.do("POST", "/v1/movements",
		`{"kind":"refund","id":"r","parent":"o","amount":1,"currency":"eur","product_id":"book"}`, acme), 400, "bad_product")
	e.want(e.do("POST", "/v1/movements", strings.Replace(good, `1`, `1,"time":"1999-12-31T23:00:00-05:00"`, 1), acme), 200, "")
	e.records(1)
	e.want(e.do("POST", "/v1/movements", good), 401, "no_secret_key")
	e.want(e.do("POST", "/v1/movements", good, "Authorization: Bearer pk_acme"), 401, "unknown_secret_key")
	e.want(e.do("OPTIONS", "/v1/movements", ""), 405, "method_not_allowed")
	e.nothing()
}

// A number is its value: JSON knows no integers, and programs write one in several ways. What is
// read is exact, or refused.
func TestWhole(t *testing.T) {
	for text, want := range map[string]int64{
		"4900": 4900, "4900.0": 4900, "4900.000": 4900, "4.9e3": 4900, "4.9E+3": 4900, "49e2": 4900, "490000e-2": 4900,
		"4900.0e0": 4900, "0.0049e6": 4900, "-4.9e3": -4900, "0": 0, "-0": 0, "0e5": 0, "0.0": 0, "1e18": 1e18,
		"9223372036854775807": 1<<63 - 1, "9223372036854775.807e3": 1<<63 - 1, "9007199254740993": 9007199254740993,
		"4900." + strings.Repeat("0", 1000): 4900, "-4900e-00": -4900,
	} {
		if got, err := whole(text); got != want || err != nil {
			t.Errorf("%.30s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "49.99", "4.95e1", "1e-2", "4900.0000000000000001", "9223372036854775808", "1e19",
		"1e100", "1e999999999999", "1e-999999999999", "-", ".", "e", "1e", "e3", ".5e1", "null", "true", "false", `"4900"`, `"1e3"`,
		"[1e3]", "{}", "0x10", "1_000", "1/1", "NaN", "Infinity", "1e1e1", "1.2.3", "1.-5", "1.5e1.0", "٤"} {
		if got, err := whole(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestPlainNumber(t *testing.T) {
	for text, want := range map[string]string{
		"7": "7", "7.0": "7", "1.001e3": "1001", "-7.00": "-7", "7.5": "7.5", "1e99": "1e99",
		"9223372036854775808.0": "9223372036854775808.0", "12345678901234567890": "12345678901234567890",
	} {
		if got := plainNumber(text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

// Dub's call is a payment by its invoice's id; without one each call is a sale; a sale of nothing
// is answered and not stored.
func TestTrackSale(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	sale := `{"customerExternalId":"u1","amount":4900,"currency":"usd","eventName":"Purchase","paymentProcessor":"paddle","invoiceId":"inv_1","metadata":{"product_id":7}}`
	a := e.do("POST", "/track/sale", sale, acme)
	e.want(a, 200, "")
	if a.field(t, "sale", "invoiceId") != "inv_1" || a.field(t, "customer", "externalId") != "u1" ||
		a.field(t, "eventName") != "Purchase" {
		t.Errorf("%s", a.body)
	}
	e.want(e.do("POST", "/track/sale", sale, acme), 200, "")
	bare := `{"customerId":"u1","amount":100,"metadata":{"product_id":["no name"]}}`
	e.want(e.do("POST", "/track/sale", bare, acme), 200, "")
	e.want(e.do("POST", "/track/sale", bare, acme), 200, "")
	ids := make(map[string]bool)
	named := 0
	for _, r := range e.records(4) {
		if bytes.Contains(r.Value, []byte(`"product_id":"7"`)) {
			named++
		}
		ids[schemas.Header(r, schemas.HeaderEventID)] = true
	}
	if len(ids) != 3 || named != 2 {
		t.Errorf("%d sales of 3, %d of 2 with a product", len(ids), named)
	}
	e.want(e.do("POST", "/track/sale", `{"customerExternalId":"u1","amount":0}`, acme), 200, "")
	e.want(e.do("POST", "/track/sale", `{"customerExternalId":"u1","amount":100,"Amount":200}`, acme), 400, "bad_request")
	e.nothing()
}

// The schema that sellers read has the fields that are read.
func TestMovementSchemaHasTheFields(t *testing.T) {
	text, err := os.ReadFile("../../schemas/movement.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Properties map[string]json.RawMessage }
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for i := range reflect.TypeFor[movementCall]().NumField() {
		fields = append(fields, reflect.TypeFor[movementCall]().Field(i).Tag.Get("json"))
	}
	slices.Sort(fields)
	if got := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, fields) {
		t.Errorf("%v, want %v", got, fields)
	}
}
