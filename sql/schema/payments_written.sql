CREATE TABLE payments_written
(
    `workspace` LowCardinality(String) COMMENT 'As in ledger',
    `livemode` Bool COMMENT 'As in ledger',
    `written_at` DateTime64(3, 'UTC') COMMENT 'When a version of the payment was written',
    `day` Date COMMENT 'As in ledger',
    `entry_id` FixedString(16) COMMENT 'As in ledger; zero: payments of the workspace were altered or deleted, and first_sales of before are void'
)
ENGINE = MergeTree
ORDER BY (workspace, livemode, written_at)
TTL toDateTime(written_at) + toIntervalDay(2)
SETTINGS index_granularity = 8192, merge_selector_base = 10
COMMENT 'Which payments were written lately, for first_sales';
