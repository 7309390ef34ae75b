CREATE TABLE earning_months
(
    `workspace` LowCardinality(String) COMMENT 'Whose month',
    `livemode` Bool COMMENT 'false: test mode',
    `month` Date COMMENT 'First day of the closed month, UTC',
    `closed_at` DateTime64(3, 'UTC') COMMENT 'When it was closed',
    `closing` String COMMENT 'Which closing: lines of earning_lines with another one do not count. Of two of one month the earlier counts',
    `minimum_usd` Decimal(18, 2) COMMENT 'As in earning_rules, when the month was closed'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, livemode, month, closed_at, closing)
SETTINGS index_granularity = 8192, non_replicated_deduplication_window = 1000, replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Closed months: a row here is what makes the lines of a closing count';
