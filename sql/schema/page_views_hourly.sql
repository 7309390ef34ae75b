CREATE TABLE page_views_hourly
(
    `workspace` LowCardinality(String) COMMENT 'As in page_views',
    `hour` DateTime('UTC') COMMENT 'Hour of viewed_at',
    `page_views` AggregateFunction(uniqCombined64, FixedString(16)) COMMENT 'Page view ids, bots left out. Read with uniqCombined64Merge',
    `visitors` AggregateFunction(uniqCombined64, String) COMMENT 'visitor_id, else identity_hash, bots left out. Read with uniqCombined64Merge, together with the visitors of clicks_hourly'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour)
SETTINGS index_granularity = 8192
COMMENT 'Page views by hour, for dashboards';
