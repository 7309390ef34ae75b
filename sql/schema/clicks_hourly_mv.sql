CREATE MATERIALIZED VIEW clicks_hourly_mv TO clicks_hourly
(
    `workspace` LowCardinality(String),
    `hour` DateTime('UTC'),
    `program_id` LowCardinality(String),
    `affiliate_id` String,
    `link_id` String,
    `utm_campaign` LowCardinality(String),
    `country` LowCardinality(String),
    `clicks` AggregateFunction(uniqCombined64, FixedString(16)),
    `visitors` AggregateFunction(uniqCombined64, String)
)
AS SELECT
    workspace,
    toStartOfHour(toDateTime(clicked_at, 'UTC')) AS hour,
    program_id,
    affiliate_id,
    link_id,
    utm_campaign,
    country,
    uniqCombined64State(click_id) AS clicks,
    uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors
FROM clicks
WHERE NOT is_bot
GROUP BY
    workspace,
    hour,
    program_id,
    affiliate_id,
    link_id,
    utm_campaign,
    country;
