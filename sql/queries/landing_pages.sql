-- Which landing pages and referrers bring clicks, and which of them bring money?
-- Clicks that count, and the sales that are credited to one of the clicks of the time, whenever they were made: sales, and their net
-- without tax, refunds and disputes subtracted. epc: net for each click, NULL where none of that money has a rate. Page: host and path. An empty name: no referrer.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'landing_page': landing_page or referrer
-- @param limit UInt32 = 100: how many names
SELECT
    name,
    count() AS clicks,
    uniq(visitor) AS visitors,
    sum(credited.sales) AS sales,
    sum(credited.net) AS net_usd,
    if(sum(credited.unrated) > 0 AND sum(credited.rated) = 0, NULL, round(net_usd / clicks, 4)) AS epc
FROM
(
    SELECT
        click_id, visitor,
        multiIf(
            {dimension:String} = 'landing_page', landing_page,
            {dimension:String} = 'referrer', toString(referrer_domain),
            throwIf(true, 'dimension is one of landing_page, referrer')::String
        ) AS name
    FROM clicks_counted(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
) AS c
LEFT JOIN
(
    SELECT
        e.click_id AS click_id,
        uniqExactIf(e.sale_id, e.kind = 'payment') AS sales,
        toDecimal128(sum(ifNull(e.net_usd, toDecimal64(0, 6))), 6) AS net,
        count(e.net_usd) AS rated, countIf(e.net_usd IS NULL) AS unrated
    FROM revenue AS e FINAL
    WHERE e.workspace = {workspace:String} AND e.livemode = {livemode:Bool} AND e.status = 'booked' AND e.amount != 0
        AND e.clicked_at >= {from:DateTime('UTC')} AND e.clicked_at < {to:DateTime('UTC')}
    GROUP BY e.click_id
) AS credited ON credited.click_id = c.click_id
GROUP BY name
ORDER BY net_usd DESC, clicks DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
