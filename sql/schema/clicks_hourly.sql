CREATE TABLE clicks_hourly
(
    `workspace` LowCardinality(String) COMMENT 'As in clicks',
    `hour` DateTime('UTC') COMMENT 'Hour of clicked_at',
    `program_id` LowCardinality(String) COMMENT 'As in clicks',
    `affiliate_id` String COMMENT 'As in clicks',
    `link_id` String COMMENT 'As in clicks',
    `utm_campaign` LowCardinality(String) COMMENT 'As in clicks',
    `country` LowCardinality(String) COMMENT 'As in clicks',
    `clicks` AggregateFunction(uniqCombined64, FixedString(16)) COMMENT 'Click ids, bots left out; a click that repeats another within an hour is among them. Read with uniqCombined64Merge',
    `visitors` AggregateFunction(uniqCombined64, String) COMMENT 'visitor_id, else identity_hash, bots left out. Read with uniqCombined64Merge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country)
SETTINGS index_granularity = 8192
COMMENT 'Clicks by hour and dimension, for dashboards';
