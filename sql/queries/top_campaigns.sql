-- Which campaigns (utm_campaign) bring the money?
-- Best net revenue (USD) first. An empty name is what came without one. Money that is not attributed is left out, so that
-- epc (net USD a click) and conversion (sales a click) compare like with like: these rows and unattributed make the total.
SELECT
    name,
    sum(clicks) AS clicks,
    sum(leads) AS leads,
    sum(sales) AS sales,
    sum(net_usd) AS net_usd,
    net_usd / nullIf(clicks, 0) AS epc,
    round(sales / nullIf(clicks, 0), 6) AS conversion
FROM
(
    SELECT c.utm_campaign AS name, uniqCombined64Merge(c.clicks) AS clicks, 0 AS leads, 0 AS sales, toDecimal128(0, 6) AS net_usd
    FROM clicks_hourly AS c
    WHERE c.workspace = {workspace:String} AND c.hour >= {from:DateTime('UTC')} AND c.hour < {to:DateTime('UTC')}
    GROUP BY name
    UNION ALL
    SELECT l.utm_campaign AS name, 0, sum(l.quantity), 0, toDecimal128(0, 6)
    FROM leads_attributed AS l FINAL
    WHERE l.workspace = {workspace:String} AND l.match_rule != 'none'
        AND l.received_at >= {from:DateTime('UTC')} AND l.received_at < {to:DateTime('UTC')}
    GROUP BY name
    UNION ALL
    SELECT r.utm_campaign AS name, 0, 0, countIf(r.kind = 'payment'), toDecimal128(ifNull(sum(r.net_usd), 0), 6)
    FROM revenue AS r FINAL
    WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.livemode = {livemode:Bool} AND r.match_rule != 'none'
        AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
    GROUP BY name
)
GROUP BY name
ORDER BY net_usd DESC, clicks DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
