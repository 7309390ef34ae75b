CREATE VIEW funnel
(
    `workspace` LowCardinality(String),
    `day` Date,
    `affiliate_id` String,
    `link_id` String,
    `utm_campaign` String,
    `clicks` UInt64,
    `leads` UInt64,
    `sales` UInt64,
    `net_usd` Decimal(38, 6)
)
AS SELECT
    workspace,
    day,
    affiliate_id,
    link_id,
    utm_campaign,
    sum(clicks) AS clicks,
    sum(leads) AS leads,
    sum(sales) AS sales,
    sum(net_usd) AS net_usd
FROM
(
    SELECT
        workspace,
        day,
        affiliate_id,
        link_id,
        utm_campaign,
        clicks,
        0 AS leads,
        0 AS sales,
        toDecimal128(0, 6) AS net_usd
    FROM clicks_daily
    UNION ALL
    SELECT
        workspace,
        toDate(received_at) AS day,
        affiliate_id,
        link_id,
        utm_campaign,
        0,
        sum(quantity),
        0,
        toDecimal128(0, 6)
    FROM people
    WHERE livemode
    GROUP BY
        workspace,
        day,
        affiliate_id,
        link_id,
        utm_campaign
    UNION ALL
    SELECT
        workspace,
        day,
        affiliate_id,
        link_id,
        utm_campaign,
        0,
        0,
        uniqExactIf(sale_id, kind = 'payment'),
        toDecimal128(sum(coalesce(net_usd, 0)), 6)
    FROM revenue
    FINAL
    WHERE (status = 'booked') AND (amount != 0) AND livemode
    GROUP BY
        workspace,
        day,
        affiliate_id,
        link_id,
        utm_campaign
)
GROUP BY
    workspace,
    day,
    affiliate_id,
    link_id,
    utm_campaign;
