-- Which affiliates, links and campaigns bring the money?
-- The first limit of each dimension, best net revenue (USD) first, then most clicks. All three in one pass: a row is counted
-- once under each of its three names; what has no name and money that is not attributed are left out. epc: net USD a click,
-- conversion: sales a click; without a click both divide by one. epc is NULL where none of that money has a rate.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param limit UInt32 = 20: how many names of each dimension
SELECT
    dimension,
    name,
    sum(c) AS clicks,
    sum(l) AS leads,
    sum(s) AS sales,
    round(sum(net), 2)::Decimal(38, 2) AS net_usd,
    if(max(u), NULL, round(sum(net) / greatest(sum(c), 1), 4)::Decimal(38, 4)) AS epc,
    round(toDecimal128(sum(s), 8) / greatest(sum(c), 1), 4)::Decimal(38, 4) AS conversion
FROM
(
    SELECT
        toString(d.dimension) AS dimension, toString(d.value) AS name,
        sum(d.clicks) AS c, toUInt64(0) AS l, toUInt64(0) AS s, toDecimal128(0, 6) AS net, toUInt8(0) AS u
    FROM clicks_by_dimension(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimensions = ['affiliate', 'link', 'campaign'], stored = true) AS d
    WHERE d.value != ''
    GROUP BY dimension, name
    HAVING c > 0
    UNION ALL
    SELECT dimension, name, toUInt64(0), sum(quantity), toUInt64(0), toDecimal128(0, 6), toUInt8(0)
    FROM
    (
        SELECT quantity, affiliate_id, link_id, utm_campaign
        FROM people
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
    )
    ARRAY JOIN ['affiliate', 'link', 'campaign'] AS dimension, [affiliate_id, link_id, toString(utm_campaign)] AS name
    WHERE name != ''
    GROUP BY dimension, name
    UNION ALL
    SELECT
        dimension, name,
        toUInt64(0), toUInt64(0), uniqExactIf(sale_id, kind = 'payment'), toDecimal128(sum(ifNull(net_usd, toDecimal64(0, 6))), 6), min(net_usd IS NULL)
    FROM
    (
        SELECT kind, sale_id, net_usd, affiliate_id, link_id, utm_campaign
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool} AND match_rule NOT IN ('', 'none')
            AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
            AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
    )
    ARRAY JOIN ['affiliate', 'link', 'campaign'] AS dimension, [affiliate_id, link_id, toString(utm_campaign)] AS name
    WHERE name != ''
    GROUP BY dimension, name
)
GROUP BY dimension, name
ORDER BY dimension, sum(net) DESC, clicks DESC, name
LIMIT {limit:UInt32} BY dimension
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
