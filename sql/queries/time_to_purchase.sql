-- How long do buyers take from the click to their first sale?
-- First sales of the time that are credited to a single click, by dimension: hours from that click to the sale, of which a quarter,
-- half, three quarters and nine tenths take no longer.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'affiliate': program, affiliate, link, source, campaign, channel or country
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param limit UInt32 = 100: how many names
WITH
    -- Read only where a filter is given: the if below is decided before.
    map('program', program_id, 'affiliate', affiliate_id, 'link', link_id, 'source', utm_source, 'campaign', utm_campaign,
        'channel', toString(channel), 'country', toString(country)) AS names
SELECT
    multiIf(
        {dimension:String} = 'program', program_id,
        {dimension:String} = 'affiliate', affiliate_id,
        {dimension:String} = 'link', link_id,
        {dimension:String} = 'source', utm_source,
        {dimension:String} = 'campaign', utm_campaign,
        {dimension:String} = 'channel', toString(channel),
        {dimension:String} = 'country', toString(country),
        (SELECT throwIf({dimension:String} NOT IN ('program', 'affiliate', 'link', 'source', 'campaign', 'channel', 'country'), 'dimension is one of program, affiliate, link, source, campaign, channel, country'))::String
    ) AS name,
    count() AS customers,
    round(quantileExactInclusive(0.25)(assumeNotNull(seconds_to_sale)) / 3600, 2) AS quarter_hours,
    round(quantileExactInclusive(0.5)(assumeNotNull(seconds_to_sale)) / 3600, 2) AS half_hours,
    round(quantileExactInclusive(0.75)(assumeNotNull(seconds_to_sale)) / 3600, 2) AS three_quarters_hours,
    round(quantileExactInclusive(0.9)(assumeNotNull(seconds_to_sale)) / 3600, 2) AS nine_tenths_hours
FROM sales
WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND sale_of_buyer = 1 AND seconds_to_sale IS NOT NULL
    AND (SELECT throwIf(
        NOT hasAll(['program', 'affiliate', 'link', 'source', 'campaign', 'channel', 'country'], arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))}))),
        'a dimension is one of program, affiliate, link, source, campaign, channel, country')) = 0
    AND if(empty({only:Map(String, Array(String))}) AND empty({without:Map(String, Array(String))}), true,
        arrayAll((d, given) -> has(given, names[d]), mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))}))
        AND NOT arrayExists((d, given) -> has(given, names[d]), mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))})))
    AND sold_at >= {from:DateTime('UTC')} AND sold_at < {to:DateTime('UTC')}
GROUP BY name
ORDER BY customers DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
