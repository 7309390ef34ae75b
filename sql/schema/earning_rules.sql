CREATE TABLE earning_rules
(
    `workspace` LowCardinality(String) COMMENT 'Whose rules',
    `loaded_at` DateTime64(3, 'UTC') COMMENT 'When the file was loaded; the last one is in force, also for sales before it',
    `minimum_usd` Decimal(18, 2) COMMENT 'A statement below it is not paid but carried forward to the next month',
    `rules` String COMMENT 'JSON array in the order of the file; the first rule that fits an entry decides'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, loaded_at)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Rules of what affiliates earn, one row each time a file was loaded by processor earnings rules';
