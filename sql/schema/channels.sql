CREATE VIEW channels
(
    `workspace` LowCardinality(String) COMMENT 'Owner of the clicks and sales',
    `channel` String COMMENT 'direct, organic_search, paid_search, organic_social, paid_social, email, affiliate, referral, ai, display or other',
    `clicks` UInt64 COMMENT 'Clicks that count, of all time; of a day that is still changing, as of at most a quarter of an hour ago',
    `visitors` UInt64 COMMENT 'Who came by these clicks, or with a page view; above 65,536 an estimate (about 0.4 %)',
    `last_click_on` Date COMMENT 'UTC day of the latest click; 1970-01-01: none',
    `sales` UInt64 COMMENT 'Sales that are credited, live mode',
    `customers` UInt64 COMMENT 'First sales of buyers among them, guests included',
    `refunded` UInt64 COMMENT 'Sales of which something was refunded',
    `net_usd` Decimal(38, 6) COMMENT 'USD without tax, refunds and disputes subtracted; what has no rate yet is left out',
    `last_sale_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When the latest sale was made, UTC; empty: none'
)
COMMENT 'Each channel with clicks, sales and live money of all time; clicks as in clicks_daily'
AS SELECT
    workspace,
    channel,
    sum(c) AS clicks,
    sum(v) AS visitors,
    max(d) AS last_click_on,
    sum(s) AS sales,
    sum(f) AS customers,
    sum(r) AS refunded,
    sum(net) AS net_usd,
    max(at) AS last_sale_at
FROM
(
    SELECT
        workspace,
        value AS channel,
        sum(clicks) AS c,
        uniqMerge(visitors) AS v,
        maxIf(day, clicks > 0) AS d,
        toUInt64(0) AS s,
        toUInt64(0) AS f,
        toUInt64(0) AS r,
        toDecimal128(0, 6) AS net,
        CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS at
    FROM clicks_by_day
    FINAL
    WHERE dimension = 'channel'
    GROUP BY
        workspace,
        value
    UNION ALL
    SELECT
        workspace,
        toString(channel),
        0,
        0,
        toDate(0),
        count(),
        countIf(sale_of_buyer = 1),
        countIf(refunded < 0),
        toDecimal128(0, 6),
        max(sold_at)
    FROM sales
    WHERE livemode
    GROUP BY
        workspace,
        channel
    UNION ALL
    SELECT
        workspace,
        toString(channel),
        0,
        0,
        toDate(0),
        0,
        0,
        0,
        toDecimal128(sum(coalesce(net_usd, 0)), 6),
        NULL
    FROM revenue
    FINAL
    WHERE livemode AND (status = 'booked') AND (amount != 0)
    GROUP BY
        workspace,
        channel
)
WHERE channel != ''
GROUP BY
    workspace,
    channel;
