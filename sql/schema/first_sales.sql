CREATE TABLE first_sales
(
    `workspace` LowCardinality(String) COMMENT 'As in ledger',
    `livemode` Bool COMMENT 'As in ledger',
    `slice` UInt8 COMMENT 'Remainder of buyer by 16',
    `buyers` Array(UInt64) COMMENT 'As buyer in revenue, each once',
    `sales` Array(UInt64) COMMENT 'sipHash64 of the sale_id of the buyer\'s earliest payment',
    `paid_again` Array(Bool) COMMENT 'Whether the sale has several payments',
    `paid_at` Array(DateTime64(3, 'UTC')) COMMENT 'When that was paid, UTC',
    `entries` Array(UInt64) COMMENT 'First eight bytes of its entry_id',
    `shared` Array(UInt64) COMMENT 'Buyers who paid a part of a sale that another buyer paid a part of',
    `several` Array(UInt64) COMMENT 'sipHash64 of all sales that have several payments, in the slice of its remainder by 16',
    `complete` Bool DEFAULT false COMMENT 'Paid_again, shared and several were computed, and no two sales in several have the same hash; only then these lists are read',
    `computed_at` DateTime64(3, 'UTC') COMMENT 'When the computation began'
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (workspace, livemode, slice)
SETTINGS index_granularity = 8192
COMMENT 'First sales of the buyers of large workspaces, as they were at computed_at; what was written since is in payments_written. Ask activity';
