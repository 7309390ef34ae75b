-- +goose Up
-- Without dimensions, so that it stays at one row a workspace and minute whatever is sent: the last days by the minute, and
-- how fresh the clicks are. Both would otherwise have to be read from clicks itself.
CREATE TABLE IF NOT EXISTS clicks_minutely
(
    workspace     LowCardinality(String) COMMENT 'As in clicks',
    minute        DateTime('UTC') COMMENT 'Minute of clicked_at',
    clicks        AggregateFunction(uniqCombined64, FixedString(16)) COMMENT 'Click ids, bots left out. Read with uniqCombined64Merge',
    visitors      AggregateFunction(uniqCombined64, String) COMMENT 'visitor_id, else identity_hash, bots left out. Read with uniqCombined64Merge',
    last_received SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Latest received_at of these clicks. Read with max'
)
ENGINE = AggregatingMergeTree
ORDER BY (workspace, minute)
TTL minute + INTERVAL 3 DAY
COMMENT 'Clicks by minute of the last three days, for what moves now';

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_minutely_mv TO clicks_minutely AS
SELECT
    workspace,
    toStartOfMinute(toDateTime(clicked_at, 'UTC')) AS minute,
    uniqCombined64State(click_id) AS clicks,
    uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors,
    max(received_at) AS last_received
FROM clicks
WHERE NOT is_bot
GROUP BY workspace, minute;
