// Package histories lives whole customer lives through the processor's own handlers, over a model of ClickHouse, and asks
// whether the ledger says what truly happened. It holds tests alone.
//
//	traffic.World ── records ── shuffled, doubled, cut into batches, interrupted ──▶ consume.Money, consume.Clicks
//	      │                                                                                │
//	      └── Movements, Balance ─────────────────── equal? ──────────────────── ledger ◀──┘
//
// A failure names its seed and tells the story of the sales it concerns, in the order in which it was told:
//
//	go test ./processor/histories -run TestLedgerEqualsTruth -seed 17
//	TRIBUTARY_LIVES=10000 go test ./processor/histories -run TestLedgerEqualsTruth -timeout 60m -v
package histories
