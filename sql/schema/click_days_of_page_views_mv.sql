CREATE MATERIALIZED VIEW click_days_of_page_views_mv TO click_days
(
    `workspace` LowCardinality(String),
    `day` Date,
    `changed_at` DateTime64(3, 'UTC'),
    `last_page_view_received` DateTime64(3, 'UTC'),
    `first_page_view` FixedString(16),
    `last_page_view` FixedString(16)
)
COMMENT 'With each insert of page views it notes in click_days which days changed'
AS SELECT
    workspace,
    toDate(viewed_at) AS day,
    now64(3, 'UTC') AS changed_at,
    maxIf(received_at, NOT is_bot) AS last_page_view_received,
    min(page_view_id) AS first_page_view,
    max(page_view_id) AS last_page_view
FROM page_views
GROUP BY
    workspace,
    day;
