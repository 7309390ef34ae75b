CREATE TABLE revenue_days
(
    `workspace` LowCardinality(String) COMMENT 'As in ledger',
    `entry_id` FixedString(16) COMMENT 'As in ledger',
    `livemode` Bool COMMENT 'As in ledger',
    `day` Date COMMENT 'A day that a version of the entry has',
    `version` UInt128 COMMENT 'The greatest version with this day'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, entry_id, livemode, day)
SETTINGS index_granularity = 256, merge_selector_base = 10
COMMENT 'Under which days each entry is or was in revenue; nearly all have one';
