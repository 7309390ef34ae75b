CREATE MATERIALIZED VIEW click_days_mv TO click_days
(
    `workspace` LowCardinality(String),
    `day` Date,
    `changed_at` DateTime64(3, 'UTC'),
    `last_click_received` DateTime64(3, 'UTC')
)
COMMENT 'With each insert of clicks it notes in click_days which days changed'
AS SELECT
    workspace,
    toDate(clicked_at) AS day,
    now64(3, 'UTC') AS changed_at,
    maxIf(received_at, NOT is_bot) AS last_click_received
FROM clicks
GROUP BY
    workspace,
    day;
