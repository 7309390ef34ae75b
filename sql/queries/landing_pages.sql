-- Which landing pages, referrers and browsers bring clicks, and which of them bring money?
-- Clicks that count, and the sales that are credited to one of the clicks of the time, whenever
-- they were made: sales, and their net without tax, refunds and disputes subtracted. epc: net for
-- each click, NULL where none of that money has a rate. landing_page: host and path. An empty
-- name: none, or not known.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'landing_page': landing_page, referrer or browser
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all of the click must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param visitors Bool = true: false: visitors are not counted, which takes less time, and shown as NULL
-- @param limit UInt32 = 100: how many names
SELECT
    name,
    count() AS clicks,
    if({visitors:Bool}, uniqIf(visitor, {visitors:Bool}), NULL) AS visitors,
    sum(credited.sales) AS sales,
    sum(credited.net) AS net_usd,
    if(sum(credited.unrated) > 0 AND sum(credited.rated) = 0, NULL, round(net_usd / clicks, 4)) AS epc
FROM
(
    WITH
        -- Read only where a filter is given: the if below is decided before.
        map('program', toString(program_id), 'affiliate', affiliate_id, 'link', link_id, 'source', utm_source, 'medium', utm_medium,
            'campaign', utm_campaign, 'channel', toString(channel), 'country', toString(country), 'device', toString(device)) AS names
    SELECT
        click_id, visitor,
        multiIf(
            {dimension:String} = 'landing_page', landing_page,
            {dimension:String} = 'referrer', toString(referrer_domain),
            {dimension:String} = 'browser', toString(browser),
            (SELECT throwIf({dimension:String} NOT IN ('landing_page', 'referrer', 'browser'), 'dimension is one of landing_page, referrer, browser'))::String
        ) AS name
    FROM clicks_counted(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
    WHERE (SELECT throwIf(
        NOT hasAll(
            ['program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device'],
            arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))}))),
        'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device')) = 0
        AND if(empty({only:Map(String, Array(String))}) AND empty({without:Map(String, Array(String))}), true,
            arrayAll((d, given) -> has(given, names[d]), mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))}))
            AND NOT arrayExists((d, given) -> has(given, names[d]), mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))})))
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
