package backfill

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/stripe"
	"tributary/schemas"
)

// record makes the record of an event that an object stands for. Its id is of the object and its
// content, so that the same object read again is the same event, and one that has changed is
// another; backfilled_from says what it is. One that is written for its names alone says so, and is
// another event than that which moves its money: a later backfill may be of the money's own period.
func (b *Backfill) record(l *list, o *object, raw json.RawMessage, m made, namesOnly bool) (*kgo.Record, error) {
	digest, err := fingerprint(raw)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", o.Object, o.ID, err)
	}
	what := m.typ[strings.LastIndexByte(m.typ, '.')+1:]
	values := map[string]any{
		"object": "event", "type": m.typ, "created": m.at.Unix(), "livemode": b.Livemode, "api_version": l.apiVersion(),
		"backfilled_from": l.path,
	}
	if namesOnly {
		what, values[stripe.NamesOnly] = "names", true
	}
	id := "evt_backfill_" + o.ID + "_" + what + "_" + digest
	values["id"] = id
	head, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	return schemas.StripeRecord(&schemas.StripeEvent{
		ID: id, Type: m.typ, Account: b.Account, Livemode: b.Livemode, APIVersion: l.apiVersion(),
		ReceivedAt: b.Now(),
		Body:       fmt.Appendf(nil, `%s,"data":{"object":%s}}`, head[:len(head)-1], raw),
	}, o.key()), nil
}

// key is the customer, else the object, as the webhook has it.
func (o *object) key() string {
	customer := string(o.Customer)
	if o.Object == "customer" {
		customer = o.ID
	}
	return cmp.Or(customer, string(o.Account), o.ID)
}

// fingerprint hashes an object without what Stripe writes anew into every answer: addresses of
// pages, which hold tokens.
func fingerprint(raw json.RawMessage) (string, error) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return "", err
	}
	text, err := json.Marshal(steady(value)) // keys in order
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

func steady(value any) any {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "client_secret")
		for k := range v {
			v[k] = steady(v[k])
		}
	case []any:
		for i := range v {
			v[i] = steady(v[i])
		}
	case string:
		if strings.HasPrefix(v, "https://") {
			return ""
		}
	}
	return value
}
