// Package traffic generates a business: visitors who click affiliate links, some who sign up, a few
// who buy, and everything Stripe says about their money, in the order and disorder in which Stripe
// says it.
//
// A World is pure. The same seed and the same Options give the same bytes: no clock is read and
// nothing is sent. Beside the traffic it keeps the truth (Movements), so that a test can send the
// traffic anywhere and then ask whether the ledger agrees.
//
//	w := traffic.New(1, traffic.Options{Start: start, Span: 24 * time.Hour, Clicks: 2000})
//	w.Clicks      what sites post to /v1/click and /v1/clicks
//	w.Leads       what backends post to /v1/leads
//	w.Deliveries  what Stripe posts to the webhook: duplicates, permutations and late ones included
//	w.Movements   what the ledger must say once all of it has arrived
//
// Times are UTC. Amounts are minor units as Stripe writes them: 1900 is 19.00 USD and 1900 JPY.
package traffic
