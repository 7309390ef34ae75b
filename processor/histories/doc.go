// Package histories plays the whole histories of customers through the processor's own handlers,
// over a model of ClickHouse, and compares the ledger with what truly happened. It holds tests
// only.
//
//	traffic.World ── records ── shuffled, doubled, cut into batches, interrupted ──▶ consume.Payments, consume.Clicks
//	      │                                                                                │
//	      └── Movements, Balance ─────────────────── equal? ──────────────────── ledger ◀──┘
//
// A failure names its seed and prints the records of the sales it concerns, in the order in which
// they were delivered:
//
//	go test ./processor/histories -run TestLedgerEqualsTruth -seed 17
//	TRIBUTARY_LIVES=10000 go test ./processor/histories -run TestLedgerEqualsTruth -timeout 60m -v
package histories
