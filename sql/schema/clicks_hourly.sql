CREATE VIEW clicks_hourly
(
    `workspace` LowCardinality(String) COMMENT 'As in clicks',
    `hour` DateTime('UTC') COMMENT 'Hour of the clicks',
    `affiliate_id` String COMMENT 'As in clicks; empty: none',
    `link_id` String COMMENT 'As in clicks; empty: none',
    `utm_campaign` String COMMENT 'As in clicks; empty: none',
    `clicks` UInt64 COMMENT 'Clicks that count: bots and repeated clicks are left out'
)
COMMENT 'Clicks that count by hour, affiliate, link and campaign; a day that still changes is behind by up to a quarter of an hour'
AS SELECT
    workspace,
    toDateTime(day, 'UTC') + toIntervalHour(intDiv(quarter, 4)) AS hour,
    splitByChar('\n', value)[1] AS affiliate_id,
    splitByChar('\n', value)[2] AS link_id,
    splitByChar('\n', value)[3] AS utm_campaign,
    sum(number) AS clicks
FROM clicks_by_day
FINAL
ARRAY JOIN
    mapKeys(clicks_at) AS quarter,
    mapValues(clicks_at) AS number
WHERE dimension = 'affiliate_link_campaign'
GROUP BY
    workspace,
    hour,
    affiliate_id,
    link_id,
    utm_campaign;
