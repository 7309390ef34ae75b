CREATE VIEW page_views_hourly
(
    `workspace` LowCardinality(String) COMMENT 'As in page_views',
    `hour` DateTime('UTC') COMMENT 'Hour of the page views',
    `page_views` UInt64 COMMENT 'Page views, bots left out'
)
COMMENT 'Page views by hour; a day that still changes is behind by up to a quarter of an hour'
AS SELECT
    workspace,
    toDateTime(day, 'UTC') + toIntervalHour(intDiv(quarter, 4)) AS hour,
    sum(number) AS page_views
FROM clicks_by_day
FINAL
ARRAY JOIN
    mapKeys(page_views_at) AS quarter,
    mapValues(page_views_at) AS number
WHERE dimension = ''
GROUP BY
    workspace,
    hour;
