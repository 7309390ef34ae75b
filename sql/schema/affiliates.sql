CREATE VIEW affiliates
(
    `workspace` LowCardinality(String) COMMENT 'Owner of the clicks and sales',
    `affiliate_id` String COMMENT 'The affiliate',
    `clicks` UInt64 COMMENT 'Clicks that count, of all time; of a day that is still changing, as of at most a quarter of an hour ago',
    `visitors` UInt64 COMMENT 'Who came by these clicks; above 65,536 an estimate (about 0.4 %)',
    `last_click_on` Date COMMENT 'UTC day of the latest click; 1970-01-01: none',
    `leads` UInt64 COMMENT 'Persons who signed up, each counted where it was first reported; live mode',
    `sales` UInt64 COMMENT 'Sales that are credited, live mode',
    `customers` UInt64 COMMENT 'First sales of buyers among them, guests included',
    `refunded` UInt64 COMMENT 'Sales of which something was refunded',
    `net_usd` Decimal(38, 6) COMMENT 'USD without tax, refunds and disputes subtracted; what has no rate yet is left out',
    `last_sale_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When the latest sale was made, UTC; empty: none'
)
COMMENT 'Each affiliate with clicks, leads, sales and live money of all time; clicks as in clicks_daily'
AS SELECT
    workspace,
    affiliate_id,
    sum(c) AS clicks,
    sum(v) AS visitors,
    max(d) AS last_click_on,
    sum(l) AS leads,
    sum(s) AS sales,
    sum(f) AS customers,
    sum(r) AS refunded,
    sum(net) AS net_usd,
    max(at) AS last_sale_at
FROM
(
    SELECT
        workspace,
        value AS affiliate_id,
        sum(clicks) AS c,
        uniqMerge(visitors) AS v,
        maxIf(day, clicks > 0) AS d,
        toUInt64(0) AS l,
        toUInt64(0) AS s,
        toUInt64(0) AS f,
        toUInt64(0) AS r,
        toDecimal128(0, 6) AS net,
        CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS at
    FROM clicks_by_day
    FINAL
    WHERE dimension = 'affiliate'
    GROUP BY
        workspace,
        value
    UNION ALL
    SELECT
        workspace,
        affiliate_id,
        0,
        0,
        toDate(0),
        sum(quantity),
        0,
        0,
        0,
        toDecimal128(0, 6),
        NULL
    FROM people
    WHERE livemode
    GROUP BY
        workspace,
        affiliate_id
    UNION ALL
    SELECT
        workspace,
        toString(affiliate_id),
        0,
        0,
        toDate(0),
        0,
        count(),
        countIf(sale_of_buyer = 1),
        countIf(refunded < 0),
        toDecimal128(0, 6),
        max(sold_at)
    FROM sales
    WHERE livemode
    GROUP BY
        workspace,
        affiliate_id
    UNION ALL
    SELECT
        workspace,
        toString(affiliate_id),
        0,
        0,
        toDate(0),
        0,
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
        affiliate_id
)
WHERE affiliate_id != ''
GROUP BY
    workspace,
    affiliate_id;
