CREATE VIEW funnel
(
    `workspace` LowCardinality(String) COMMENT 'Owner of clicks, leads and sales',
    `day` Date COMMENT 'UTC day of the click, the first report, the movement of money',
    `affiliate_id` String COMMENT 'Who is credited; empty: nobody',
    `link_id` String COMMENT 'Link of the click',
    `utm_campaign` String COMMENT 'Campaign of the click',
    `clicks` UInt64 COMMENT 'Clicks that count',
    `leads` UInt64 COMMENT 'Persons whom a backend or Stripe reported, each once',
    `public_leads` UInt64 COMMENT 'Persons whom only browsers reported: anybody may have invented them',
    `sales` UInt64 COMMENT 'Sales of which something was paid on the day',
    `net_usd` Decimal(38, 6) COMMENT 'USD without tax, refunds and disputes subtracted; what has no rate yet is left out'
)
COMMENT 'Clicks, leads and live money by day, affiliate, link and campaign'
AS SELECT
    workspace,
    day,
    affiliate_id,
    link_id,
    utm_campaign,
    sum(clicks) AS clicks,
    sum(leads) AS leads,
    sum(public_leads) AS public_leads,
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
        0 AS public_leads,
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
        toDate(received_at) AS day,
        affiliate_id,
        link_id,
        utm_campaign,
        0,
        0,
        sum(quantity),
        0,
        toDecimal128(0, 6)
    FROM public_leads
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
