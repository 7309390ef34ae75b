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
SELECT
    name,
    count() AS customers,
    round(quantileExactInclusive(0.25)(seconds) / 3600, 2) AS quarter_hours,
    round(quantileExactInclusive(0.5)(seconds) / 3600, 2) AS half_hours,
    round(quantileExactInclusive(0.75)(seconds) / 3600, 2) AS three_quarters_hours,
    round(quantileExactInclusive(0.9)(seconds) / 3600, 2) AS nine_tenths_hours
FROM
(
    SELECT
        min(sold_at) AS first_sold_at,
        argMin(s.name, place) AS name,
        argMin(s.fits, place) AS fits,
        argMin(s.clicked, place) AS clicked,
        argMin(s.seconds, place) AS seconds
    FROM
    (
        WITH
            -- Read only where a filter is given: the if below is decided before.
            map('program', toString(program_id), 'affiliate', affiliate_id, 'link', link_id, 'source', toString(utm_source),
                'campaign', toString(utm_campaign), 'channel', toString(channel), 'country', toString(country)) AS names,
            -- A sale is its first payment's. One text is compared in less time than a pair.
            concat(toString(toUnixTimestamp64Milli(occurred_at) + 100000000000000), object_id) AS payment
        SELECT
            min(occurred_at) AS sold_at,
            concat(toString(toUnixTimestamp64Milli(sold_at) + 100000000000000), sale_id) AS place,
            argMin(buyer, payment) AS who,
            argMin(multiIf(
                {dimension:String} = 'program', toString(program_id),
                {dimension:String} = 'affiliate', affiliate_id,
                {dimension:String} = 'link', link_id,
                {dimension:String} = 'source', toString(utm_source),
                {dimension:String} = 'campaign', toString(utm_campaign),
                {dimension:String} = 'channel', toString(channel),
                {dimension:String} = 'country', toString(country),
                (SELECT throwIf({dimension:String} NOT IN ('program', 'affiliate', 'link', 'source', 'campaign', 'channel', 'country'), 'dimension is one of program, affiliate, link, source, campaign, channel, country'))::String
            ), payment) AS name,
            argMin(
                if(empty({only:Map(String, Array(String))}) AND empty({without:Map(String, Array(String))}), true,
                    arrayAll((d, given) -> has(given, names[d]), mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))}))
                    AND NOT arrayExists((d, given) -> has(given, names[d]), mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))}))),
                payment) AS fits,
            argMin(clicked_at IS NOT NULL, payment) AS clicked,
            argMin(assumeNotNull(dateDiff('second', clicked_at, occurred_at)), payment) AS seconds
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND status = 'booked' AND amount != 0 AND kind = 'payment' AND identity(sale_id) IN
            (
                SELECT sale_id
                FROM revenue
                WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND kind = 'payment' AND identity(buyer) IN
                (
                    -- Who paid in this time: nobody else was won in it. Read without FINAL, so any version counts. identity: the index cannot help.
                    SELECT buyer
                    FROM revenue
                    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND kind = 'payment'
                        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
                )
            )
        GROUP BY sale_id
    ) AS s
    GROUP BY who
)
WHERE fits AND clicked AND (SELECT throwIf(
        NOT hasAll(['program', 'affiliate', 'link', 'source', 'campaign', 'channel', 'country'], arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))}))),
        'a dimension is one of program, affiliate, link, source, campaign, channel, country')) = 0
    AND first_sold_at >= {from:DateTime('UTC')} AND first_sold_at < {to:DateTime('UTC')}
GROUP BY name
ORDER BY customers DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
