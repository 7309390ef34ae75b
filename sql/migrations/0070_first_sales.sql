-- +goose Up
-- Whether a sale is its buyer's first one was found by grouping payments of all time in each question. Now the processor keeps the first
-- sales of a large workspace's buyers as lists, and each insert notes which payments it wrote, so that a question can add what the lists do
-- not have yet and knows when they are wrong.
CREATE TABLE IF NOT EXISTS first_sales
(
    workspace   LowCardinality(String) COMMENT 'As in ledger',
    livemode    Bool COMMENT 'As in ledger',
    slice       UInt8 COMMENT 'Remainder of buyer by 16',
    buyers      Array(UInt64) COMMENT 'As buyer in revenue, each once',
    sales       Array(UInt64) COMMENT 'sipHash64 of the sale_id of the buyer''s earliest payment',
    paid_at     Array(DateTime64(3, 'UTC')) COMMENT 'When that was paid, UTC',
    entries     Array(UInt64) COMMENT 'First eight bytes of its entry_id',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the computation began'
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (workspace, livemode, slice)
COMMENT 'First sales of the buyers of large workspaces, as they were at computed_at; what was written since is in payments_written. Ask activity';

CREATE TABLE IF NOT EXISTS payments_written
(
    workspace  LowCardinality(String) COMMENT 'As in ledger',
    livemode   Bool COMMENT 'As in ledger',
    written_at DateTime64(3, 'UTC') COMMENT 'When a version of the payment was written',
    day        Date COMMENT 'As in ledger',
    entry_id   FixedString(16) COMMENT 'As in ledger; zero: payments of the workspace were altered or deleted, and first_sales of before are void'
)
ENGINE = MergeTree
ORDER BY (workspace, livemode, written_at)
TTL toDateTime(written_at) + INTERVAL 2 DAY
COMMENT 'Which payments were written lately, for first_sales';

CREATE MATERIALIZED VIEW IF NOT EXISTS payments_written_mv TO payments_written
COMMENT 'Fills payments_written with the payments of each insert'
AS SELECT workspace, livemode, now64(3, 'UTC') AS written_at, day, entry_id
FROM ledger
WHERE kind = 'payment';
