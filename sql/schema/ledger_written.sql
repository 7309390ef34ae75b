CREATE TABLE ledger_written
(
    `workspace` LowCardinality(String) COMMENT 'As in ledger',
    `entry_id` FixedString(16) COMMENT 'As in ledger',
    `version` UInt128 COMMENT 'As in ledger',
    `written_at` SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'When this version was first written; of older ones, received_at. Read with min'
)
ENGINE = AggregatingMergeTree
ORDER BY (workspace, entry_id, version)
SETTINGS index_granularity = 8192, merge_selector_base = 10
COMMENT 'When the versions of ledger_log were written';
