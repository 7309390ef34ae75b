CREATE TABLE ledger_rules
(
    `rules` UInt32 COMMENT 'Number of the rules by which every entry of the ledger was booked; 2: one payment is one entry',
    `since` DateTime64(3, 'UTC') COMMENT 'When the ledger was made so'
)
ENGINE = ReplacingMergeTree(since)
ORDER BY rules
SETTINGS index_granularity = 8192
COMMENT 'By which rules the ledger is booked. processor run begins only where they are its own; processor replay rebuild, with exchange, brings an older ledger to them';
