-- What is a customer worth, by who won them?
-- Buyers whose first sale was in the time, by whom or what that sale is credited to. orders: all their sales until today, renewals
-- among them. net_usd: all they ever paid, without tax, refunds and disputes subtracted; ltv: for each customer. Buyers with money that
-- has no rate are left out of net_usd and ltv, and counted.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'affiliate': program, affiliate, link, source, campaign, channel or country
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all of a buyer's first sale must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param limit UInt32 = 100: how many names
SELECT
    name,
    count() AS customers,
    sum(orders) AS orders,
    sum(ifNull(net, 0)) AS net_usd,
    if(count(net) = 0, NULL, round(net_usd / count(net), 4)) AS ltv,
    countIf(net IS NULL) AS without_rate
FROM
(
    SELECT
        min(sold_at) AS first_sold_at,
        argMin(s.name, place) AS name,
        argMin(s.fits, place) AS fits,
        count() AS orders,
        if(count() = count(s.net_usd), sum(s.net_usd), NULL) AS net
    FROM
    (
        WITH
            -- Read only where a filter is given: the if below is decided before.
            map('program', toString(program_id), 'affiliate', affiliate_id, 'link', link_id, 'source', toString(utm_source),
                'campaign', toString(utm_campaign), 'channel', toString(channel), 'country', toString(country)) AS names,
            -- A sale is its first payment's. One text is compared in less time than a pair.
            concat(toString(toUnixTimestamp64Milli(occurred_at) + 100000000000000), object_id) AS payment
        SELECT
            minIf(occurred_at, kind = 'payment') AS sold_at,
            concat(toString(toUnixTimestamp64Milli(sold_at) + 100000000000000), sale_id) AS place,
            argMinIf(buyer, payment, kind = 'payment') AS who,
            argMinIf(multiIf(
                {dimension:String} = 'program', toString(program_id),
                {dimension:String} = 'affiliate', affiliate_id,
                {dimension:String} = 'link', link_id,
                {dimension:String} = 'source', toString(utm_source),
                {dimension:String} = 'campaign', toString(utm_campaign),
                {dimension:String} = 'channel', toString(channel),
                {dimension:String} = 'country', toString(country),
                (SELECT throwIf({dimension:String} NOT IN ('program', 'affiliate', 'link', 'source', 'campaign', 'channel', 'country'), 'dimension is one of program, affiliate, link, source, campaign, channel, country'))::String
            ), payment, kind = 'payment') AS name,
            argMinIf(
                if(empty({only:Map(String, Array(String))}) AND empty({without:Map(String, Array(String))}), true,
                    arrayAll((d, given) -> has(given, names[d]), mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))}))
                    AND NOT arrayExists((d, given) -> has(given, names[d]), mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))}))),
                payment, kind = 'payment') AS fits,
            if(count() = count(e.net_usd), sum(e.net_usd), NULL) AS net_usd
        FROM revenue AS e FINAL
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND status = 'booked' AND amount != 0 AND identity(sale_id) IN
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
        HAVING countIf(kind = 'payment') > 0
    ) AS s
    GROUP BY who
)
WHERE fits AND (SELECT throwIf(
        NOT hasAll(['program', 'affiliate', 'link', 'source', 'campaign', 'channel', 'country'], arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))}))),
        'a dimension is one of program, affiliate, link, source, campaign, channel, country')) = 0
    AND first_sold_at >= {from:DateTime('UTC')} AND first_sold_at < {to:DateTime('UTC')}
GROUP BY name
ORDER BY net_usd DESC, name
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
