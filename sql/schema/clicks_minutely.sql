CREATE TABLE clicks_minutely
(
    `workspace` LowCardinality(String) COMMENT 'As in clicks',
    `minute` DateTime('UTC') COMMENT 'Minute of clicked_at',
    `clicks` AggregateFunction(uniqCombined64, FixedString(16)) COMMENT 'Click ids, bots left out. Read with uniqCombined64Merge',
    `visitors` AggregateFunction(uniqCombined64, String) COMMENT 'visitor_id, else identity_hash, bots left out. Read with uniqCombined64Merge',
    `last_received` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Latest received_at of these clicks. Read with max'
)
ENGINE = AggregatingMergeTree
ORDER BY (workspace, minute)
TTL minute + toIntervalDay(3)
SETTINGS index_granularity = 8192
COMMENT 'Clicks by minute of the last three days, for what moves now';
