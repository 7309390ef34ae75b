package identity

import (
	"strings"
	"time"
)

// A payment may be an invoice's if it was made at most EarliestPayment before the invoice was paid,
// and LatestPayment after it.
const (
	EarliestPayment = 4 * time.Hour
	LatestPayment   = time.Hour
)

// hourLayout writes an hour so that those beside each other lie beside each other in a sorted
// table.
const hourLayout = "2006-01-02T15"

// Hour names the hour, UTC, in which a customer paid (PaymentHour) or an invoice was paid
// (InvoiceHour), in one currency, account and mode.
func Hour(typ, account string, livemode bool, customer, currency string, at time.Time) Node {
	mode := "test"
	if livemode {
		mode = "live"
	}
	name := append(make([]byte, 0, 128), typ...) // 128: what a name rarely exceeds
	name = append(append(append(name, ':'), account...), '/')
	name = append(append(append(name, mode...), '/'), customer...)
	name = append(append(append(name, '/'), currency...), '/')
	return Node(at.UTC().AppendFormat(name, hourLayout))
}

// hour takes an hour's name apart: whose it is, and when it begins, UTC.
func (n Node) hour() (typ, whose string, at time.Time, ok bool) {
	if !strings.HasPrefix(string(n), PaymentHour) && !strings.HasPrefix(string(n), InvoiceHour) {
		return "", "", time.Time{}, false
	}
	typ, value := n.Split()
	if len(value) <= len(hourLayout) {
		return "", "", time.Time{}, false
	}
	whose = value[:len(value)-len(hourLayout)]
	at, err := time.Parse(hourLayout, value[len(whose):])
	return typ, whose, at, err == nil
}

// OfCustomer returns the same hour of another customer, if n is one of from's; else n.
func (n Node) OfCustomer(from, to string) Node {
	typ, whose, _, ok := n.hour()
	currency := strings.LastIndexByte(strings.TrimSuffix(whose, "/"), '/')
	if !ok || currency < 0 {
		return n
	}
	before, own := strings.CutSuffix(whose[:currency], "/"+from)
	if !own {
		return n
	}
	_, value := n.Split()
	return New(typ, before+"/"+to+value[currency:])
}

// Customer returns whose hour n is; empty if n is no hour.
func (n Node) Customer() string {
	if !n.IsHour() {
		return ""
	}
	_, value := n.Split()
	_, value, _ = strings.Cut(value, "/") // the account
	_, value, _ = strings.Cut(value, "/") // the mode
	customer, _, _ := strings.Cut(value, "/")
	return customer
}

// Near lists the hours in which the other half of n may lie: for an hour of payments those of
// invoices, and the other way round. It is coarser than the times themselves, and depends on
// nothing but n: what is near once stays near. Empty for any other node.
func (n Node) Near() []Node {
	typ, whose, at, ok := n.hour()
	if !ok {
		return nil
	}
	other, first := InvoiceHour, at.Add(-LatestPayment)
	if typ == InvoiceHour {
		other, first = PaymentHour, at.Add(-EarliestPayment)
	}
	const most = (EarliestPayment+LatestPayment)/time.Hour + 1
	names := make([]byte, 0, int(most)*(len(other)+len(":")+len(whose)+len(hourLayout)))
	var ends [most]int
	for i := range ends {
		names = append(append(append(names, other...), ':'), whose...)
		names = first.Add(time.Duration(i)*time.Hour).AppendFormat(names, hourLayout)
		ends[i] = len(names)
	}
	all, hours := Node(names), make([]Node, most) // which share its memory
	begin := 0
	for i, end := range ends {
		hours[i], begin = all[begin:end], end
	}
	return hours
}
