-- What do customers bring after they were won, and how many come back?
-- Buyers by the unit of time of their first sale and by whom or what it is credited to; age: units
-- since then, 0 is the first, which also has what moved before that sale, such as a refund of one
-- whose payment is held. buyers: how many the cohort has. active: how many of them bought in
-- this unit; retention: the share. net_usd: without tax, refunds and disputes subtracted when they
-- happened; cumulative_usd: until then; per_buyer: that for each of the cohort, NULL where none of
-- it has a rate. Money without a rate is left out (see without_rate). A cohort has no row for a
-- unit in which no money of its buyers moved.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time in which buyers were won, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param unit String = 'week': day, week (from Monday), month, quarter or year
-- @param timezone String = 'UTC': IANA name, such as Asia/Kolkata: where the unit begins
-- @param dimension String = '': affiliate, channel, campaign or program; empty: all together
-- @param only Map(String, Array(String)) = {}: names to count, by dimension, such as {'country':['DE','AT']}; all of a buyer's first sale must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
SELECT
    formatDateTime(cohort, '%F', {timezone:String}) AS won,
    name,
    toUInt32(age) AS age,
    any(cohort_buyers) AS buyers,
    uniqExactIf(buyer, kind = 'payment') AS active,
    round(toDecimal128(active, 6) / buyers, 4) AS retention,
    sum(ifNull(entry_usd, 0)) AS net_usd,
    sum(net_usd) OVER (PARTITION BY cohort, name ORDER BY age) AS cumulative_usd,
    if(min(min(entry_usd IS NULL)) OVER (PARTITION BY cohort, name ORDER BY age), NULL, round(cumulative_usd / buyers, 4)) AS per_buyer
FROM
(
    SELECT
        *,
        uniqExact(buyer) OVER (PARTITION BY cohort, name) AS cohort_buyers,
        greatest(0, dateDiff({unit:String}, cohort, toDateTime(dateTrunc({unit:String}, toDateTime(occurred_at, 'UTC'), {timezone:String}), {timezone:String}), {timezone:String})) AS age
    FROM
    (
        SELECT
            buyer, kind, occurred_at, entry_usd,
            toDateTime(dateTrunc({unit:String}, toDateTime(min(if(kind = 'payment', occurred_at, NULL)) OVER (PARTITION BY buyer), 'UTC'), {timezone:String}), {timezone:String}) AS cohort,
            argMin(credited, (kind != 'payment', occurred_at, sale_id, object_id)) OVER (PARTITION BY buyer) AS name,
            argMin(fits, (kind != 'payment', occurred_at, sale_id, object_id)) OVER (PARTITION BY buyer) AS won_so,
            min(if(kind = 'payment', occurred_at, NULL)) OVER (PARTITION BY buyer) AS won_at
        FROM
        (
            WITH
                -- Read only where a filter is given: the if below is decided before.
                map('program', toString(program_id), 'affiliate', affiliate_id, 'link', link_id, 'source', toString(utm_source),
                    'medium', toString(utm_medium), 'campaign', toString(utm_campaign), 'channel', toString(channel),
                    'country', toString(country), 'device', toString(device)) AS names
            SELECT
                buyer, kind, occurred_at, sale_id, object_id, e.net_usd AS entry_usd,
                multiIf(
                    {dimension:String} = 'affiliate', affiliate_id,
                    {dimension:String} = 'channel', toString(channel),
                    {dimension:String} = 'campaign', toString(utm_campaign),
                    {dimension:String} = 'program', toString(program_id),
                    {dimension:String} = '', '',
                    (SELECT throwIf({dimension:String} NOT IN ('', 'affiliate', 'channel', 'campaign', 'program'), 'dimension is one of affiliate, channel, campaign, program'))::String
                ) AS credited,
                if(empty({only:Map(String, Array(String))}) AND empty({without:Map(String, Array(String))}), true,
                    arrayAll((d, given) -> has(given, names[d]), mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))}))
                    AND NOT arrayExists((d, given) -> has(given, names[d]), mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))}))) AS fits
            FROM revenue AS e FINAL
            WHERE e.workspace = {workspace:String} AND e.livemode = {livemode:Bool} AND e.status = 'booked' AND e.amount != 0 AND identity(buyer) IN
            (
                -- Who paid in this time: nobody else was won in it. Read without FINAL, so any version counts. identity: the index cannot help.
                SELECT buyer
                FROM revenue
                WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND kind = 'payment'
                    AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
            )
        )
    )
    WHERE won_so AND (SELECT throwIf(
            NOT hasAll(
                ['program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device'],
                arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))}))),
            'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device')) = 0
        AND won_at >= {from:DateTime('UTC')} AND won_at < {to:DateTime('UTC')}
)
GROUP BY cohort, name, age
ORDER BY cohort, name, age
SETTINGS optimize_move_to_prewhere_if_final = 0
