CREATE TABLE dead_letters
(
    `at` DateTime64(3, 'UTC') COMMENT 'When it was set aside',
    `reason` LowCardinality(String) COMMENT 'Short constant, the same that the metric carries',
    `step` LowCardinality(String) COMMENT 'Who refused it: decode, facts, load …',
    `topic` LowCardinality(String) COMMENT 'Origin',
    `partition` Int32 COMMENT 'Origin',
    `offset` Int64 COMMENT 'Origin',
    `record_at` DateTime64(3, 'UTC') COMMENT 'The record\'s own time in Kafka: tells it apart from the record that a topic of the same name had at this offset. 1970 for letters from before this column, and for offsets that Kafka no longer had',
    `error` String COMMENT 'The error\'s words',
    `key` String COMMENT 'The record\'s key',
    `headers` Map(LowCardinality(String), String) COMMENT 'The record\'s own headers: with them it can be handled again',
    `body` String COMMENT 'The record\'s value, unchanged' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PRIMARY KEY (topic, partition, offset, step)
ORDER BY (topic, partition, offset, step, record_at)
SETTINGS index_granularity = 8192
COMMENT 'Records that could not be processed, with reason and origin; nothing vanishes';
