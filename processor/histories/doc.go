// Package histories plays the whole histories of customers through the processor's own handlers,
// over a model of ClickHouse, and compares the ledger with what truly happened. It holds tests
// only.
//
//	traffic.World ── records ── shuffled, doubled, cut into batches, interrupted ──▶ consume.Payments, consume.Clicks
//	      │                                                                                │
//	      └── Movements, Balance ─────────────────── equal? ──────────────────── ledger ◀──┘
//
// By each of ten subscriptions the ledger must say what the events of that subscription can say
// (oracle_test.go). One buyer's last events are handled in every order (exhaustive_test.go).
//
// A failure names its seed and prints the records of the sales it concerns, in the order in which
// they were delivered:
//
//	go test ./processor/histories -run TestLedgerEqualsTruth -seed 17
//	make lives LIVES=10000
package histories
