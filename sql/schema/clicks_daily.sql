CREATE VIEW clicks_daily
(
    `workspace` LowCardinality(String) COMMENT 'As in clicks',
    `day` Date COMMENT 'UTC day',
    `affiliate_id` String COMMENT 'As in clicks; empty: none',
    `link_id` String COMMENT 'As in clicks; empty: none',
    `utm_campaign` String COMMENT 'As in clicks; empty: none',
    `clicks` UInt64 COMMENT 'Clicks that count: bots and repeated clicks are left out'
)
COMMENT 'Clicks that count by day, affiliate, link and campaign; a day that still changes is behind by up to a quarter of an hour'
AS SELECT
    workspace,
    day,
    splitByChar('\n', value)[1] AS affiliate_id,
    splitByChar('\n', value)[2] AS link_id,
    splitByChar('\n', value)[3] AS utm_campaign,
    clicks
FROM clicks_by_day
FINAL
WHERE (dimension = 'affiliate_link_campaign') AND (clicks > 0);
