CREATE MATERIALIZED VIEW clicks_minutely_mv TO clicks_minutely
(
    `workspace` LowCardinality(String),
    `minute` DateTime('UTC'),
    `clicks` AggregateFunction(uniqCombined64, FixedString(16)),
    `visitors` AggregateFunction(uniqCombined64, String),
    `last_received` DateTime64(3, 'UTC')
)
AS SELECT
    workspace,
    toStartOfMinute(toDateTime(clicked_at, 'UTC')) AS minute,
    uniqCombined64State(click_id) AS clicks,
    uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors,
    max(received_at) AS last_received
FROM clicks
WHERE NOT is_bot
GROUP BY
    workspace,
    minute;
