CREATE TABLE dead_letters
(
    `at` DateTime64(3, 'UTC') COMMENT 'When it was set aside',
    `reason` LowCardinality(String) COMMENT 'Short constant, the same that the metric carries',
    `step` LowCardinality(String) COMMENT 'Who refused it: decode, facts, load …',
    `topic` LowCardinality(String) COMMENT 'Origin',
    `partition` Int32 COMMENT 'Origin',
    `offset` Int64 COMMENT 'Origin',
    `error` String COMMENT 'The error\'s words',
    `key` String COMMENT 'The record\'s key',
    `headers` Map(LowCardinality(String), String) COMMENT 'The record\'s own headers: with them it can be handled again',
    `body` String COMMENT 'The record\'s value, unchanged' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, step)
SETTINGS index_granularity = 8192
COMMENT 'Records that could not be processed, with reason and origin; nothing vanishes';
