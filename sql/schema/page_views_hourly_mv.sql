CREATE MATERIALIZED VIEW page_views_hourly_mv TO page_views_hourly
(
    `workspace` LowCardinality(String),
    `hour` DateTime('UTC'),
    `page_views` AggregateFunction(uniqCombined64, FixedString(16)),
    `visitors` AggregateFunction(uniqCombined64, String)
)
AS SELECT
    workspace,
    toStartOfHour(toDateTime(viewed_at, 'UTC')) AS hour,
    uniqCombined64State(page_view_id) AS page_views,
    uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors
FROM page_views
WHERE NOT is_bot
GROUP BY
    workspace,
    hour;
