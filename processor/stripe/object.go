package stripe

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fastjson"
)

// ShapeError says which values of a body were missing, impossible, or of another type than any known
// API version has. A shape that was never seen is never read as zero.
type ShapeError struct{ Paths []string }

func (e *ShapeError) Error() string {
	s := "unknown shape: missing or unreadable"
	for i, p := range e.Paths {
		if i > 0 {
			s += ","
		}
		s += " " + p
	}
	return s
}

// document is a parsed body, and what is missing in it.
type document struct {
	parser  fastjson.Parser
	places  []place
	missing []string
	event   event
}

var documents = sync.Pool{New: func() any { return new(document) }}

// parse returns the outermost object of a body. It, and all within it, is valid until the next.
func (d *document) parse(body []byte) (object, error) {
	d.places, d.missing = append(d.places[:0], place{}), nil
	root, err := d.parser.ParseBytes(body)
	return object{fields: root.GetObject(), doc: d}, err
}

// shape returns what is missing as a *ShapeError; nil if nothing is.
func (d *document) shape() error {
	if len(d.missing) == 0 {
		return nil
	}
	return &ShapeError{Paths: d.missing}
}

// place is where an object lies: under a key of the object at another place, which is its index in
// document.places. The keys are joined only where something is missing.
type place struct {
	within int32
	key    string
}

// object reads one JSON object. The must… methods note what is missing in the document; the others
// give zero for it. It is small, because each method gets a copy of it.
type object struct {
	fields *fastjson.Object // nil where there is none
	doc    *document
	place  int32
}

// at returns the value that lies under a key.
func (o object) at(key string, v *fastjson.Value) object {
	o.doc.places = append(o.doc.places, place{o.place, key})
	return object{fields: v.GetObject(), doc: o.doc, place: int32(len(o.doc.places) - 1)}
}

func (o object) missing(key string) {
	keys := []string{key}
	for at := o.place; at > 0; at = o.doc.places[at].within {
		keys = append(keys, o.doc.places[at].key)
	}
	slices.Reverse(keys)
	path := strings.ReplaceAll(strings.Join(keys, "."), ".[]", "[]")
	if !slices.Contains(o.doc.missing, path) {
		o.doc.missing = append(o.doc.missing, path)
	}
}

// get returns nil for an absent value and for null.
func (o object) get(key string) *fastjson.Value {
	if !o.present() {
		return nil
	}
	v := o.fields.Get(key)
	if v == nil || v.Type() == fastjson.TypeNull {
		return nil
	}
	return v
}

// has reports whether the object has the key, also where its value is null.
func (o object) has(key string) bool { return o.present() && o.fields.Get(key) != nil }

func (o object) child(key string) object { return o.at(key, o.get(key)) }

func (o object) present() bool { return o.fields != nil }

// bytes returns a text within the body, which must not be kept: nil if it is none.
func (o object) bytes(key string) []byte {
	if v := o.get(key); v != nil && v.Type() == fastjson.TypeString {
		return v.GetStringBytes()
	}
	return nil
}

func (o object) text(key string) string { return string(o.bytes(key)) }

// is reports whether a value is that text.
func (o object) is(key, want string) bool { return string(o.bytes(key)) == want }

func (o object) mustText(key string) string {
	s := o.text(key)
	if s == "" {
		o.missing(key)
	}
	return s
}

// mustCurrency reads a currency: three letters, lower case as Stripe writes them. Which of them
// there are is not its business.
func (o object) mustCurrency(key string) string {
	s := o.text(key)
	if len(s) != 3 || strings.ContainsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' }) {
		o.missing(key)
	}
	return s
}

// id reads a reference to another object: its id, or the object itself where the API call expanded
// it.
func (o object) id(key string) string {
	v := o.get(key)
	if v == nil {
		return ""
	}
	if v.Type() == fastjson.TypeObject {
		return string(v.GetStringBytes("id"))
	}
	return o.text(key)
}

// customer reads who bought: a customer, or an account that is one (Accounts v2).
// https://docs.stripe.com/connect/use-accounts-as-customers
func (o object) customer() string {
	if c := o.id("customer"); c != "" {
		return c
	}
	return o.id("customer_account")
}

func (o object) flag(key string) bool { return o.get(key).GetBool() }

// tooMuch is more than any number of Stripe's: its amounts have twelve digits at most. What is less is
// worth less than 10^12 USD at any plausible rate, and so fits into the ledger (processor/fx).
// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
const tooMuch = 10_000_000_000_000

// number reads an integer and reports whether there is a value, which may be none, or tooMuch: that
// is noted, and 0 returned.
func (o object) number(key string) (n int64, there bool) {
	v := o.get(key)
	if v == nil {
		return 0, false
	}
	n, err := v.Int64()
	if err != nil || n >= tooMuch || n <= -tooMuch {
		o.missing(key)
		return 0, true
	}
	return n, true
}

// integer returns 0 for an absent value or null, and notes a value that is there but no number.
func (o object) integer(key string) int64 {
	n, _ := o.number(key)
	return n
}

// amount reads minor units that are never negative: 0 for an absent value or null.
func (o object) amount(key string) int64 {
	n := o.integer(key)
	if n < 0 {
		o.missing(key)
	}
	return n
}

func (o object) mustAmount(key string) int64 {
	if o.get(key) == nil {
		o.missing(key)
	}
	return o.amount(key)
}

// part reads minor units that are a part of an amount, and notes what is more than all of it.
func (o object) part(key string, of int64) int64 {
	n := o.amount(key)
	if n > of {
		o.missing(key)
	}
	return n
}

// latest is the last second that a DateTime column holds, in 2106. A time beyond it is no time.
const latest = 1<<32 - 1

// time returns the zero time for an absent value or null.
func (o object) time(key string) time.Time {
	seconds := o.integer(key)
	switch {
	case seconds == 0:
		return time.Time{}
	case seconds < 0 || seconds > latest:
		o.missing(key)
	}
	return time.Unix(seconds, 0).UTC()
}

func (o object) mustTime(key string) time.Time {
	if o.get(key) == nil {
		o.missing(key)
	}
	return o.time(key)
}

// array returns the elements of a list, plain or in Stripe's {"object":"list","data":[…]}.
func (o object) array(key string) []object {
	v := o.get(key)
	if v == nil {
		return nil
	}
	if v.Type() == fastjson.TypeObject {
		v = v.Get("data")
	}
	items := v.GetArray()
	if len(items) == 0 {
		return nil
	}
	element := o.at(key, v).at("[]", nil)
	out := make([]object, len(items))
	for i, item := range items {
		out[i] = element
		out[i].fields = item.GetObject()
	}
	return out
}
