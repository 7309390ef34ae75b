CREATE MATERIALIZED VIEW click_days_mv TO click_days
(
    `workspace` LowCardinality(String),
    `day` Date,
    `changed_at` DateTime64(3, 'UTC'),
    `last_click_received` DateTime64(3, 'UTC'),
    `first_click` FixedString(16),
    `last_click` FixedString(16)
)
COMMENT 'With each insert of clicks it notes in click_days which days changed'
AS SELECT
    workspace,
    arrayJoin(arrayDistinct([clicked, clicked + 1, named, named + 1])) AS day,
    changed_at,
    if(day = clicked, last_received, toDateTime64(0, 3, 'UTC')) AS last_click_received,
    first_click,
    last_click
FROM
(
    SELECT
        workspace,
        toDate(clicked_at) AS clicked,
        toDate(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(click_id, 1, 6))), 'UTC')) AS named,
        now64(3, 'UTC') AS changed_at,
        maxIf(received_at, NOT is_bot) AS last_received,
        min(click_id) AS first_click,
        max(click_id) AS last_click
    FROM clicks
    GROUP BY
        workspace,
        clicked,
        named
);
