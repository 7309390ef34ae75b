CREATE VIEW sale_touches
COMMENT 'Sales with the clicks before them; parameters: workspace, livemode, from, to, lookback_days, dimension'
AS WITH
    toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - (86400 * ({lookback_days:UInt16} + 1))), 'UTC') AS since,
    sold AS
    (
        SELECT
            e.sale_id AS sale_id,
            minIf(e.occurred_at, e.kind = 'payment') AS sold_at,
            argMinIf((sipHash64(e.buyer), e.name, toString(e.channel), toString(e.match_rule), e.click_id, e.clicked_at), (e.occurred_at, e.object_id), e.kind = 'payment') AS first,
            toDecimal128(assumeNotNull(sum(e.net_usd)), 6) AS net_usd,
            groupArray((e.name, toDecimal128(assumeNotNull(e.net_usd), 6))) AS entries
        FROM
        (
            SELECT
                *,
                multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer,
                multiIf({dimension:String} = 'affiliate', affiliate_id, {dimension:String} = 'program', program_id, {dimension:String} = 'link', link_id, {dimension:String} = 'source', utm_source, {dimension:String} = 'medium', utm_medium, {dimension:String} = 'campaign', utm_campaign, channel) AS name
            FROM ledger
            FINAL
            WHERE (NOT throwIf(({dimension:String} NOT IN ('affiliate', 'program', 'link', 'source', 'medium', 'campaign', 'channel')), 'dimension is one of affiliate, program, link, source, medium, campaign, channel')) AND (workspace = {workspace:String}) AND (status = 'booked') AND (amount != 0) AND (livemode = {livemode:Bool}) AND (sale_id IN (
                SELECT sale_id
                FROM ledger
                WHERE (workspace = {workspace:String}) AND (kind = 'payment') AND (occurred_at >= {from:DateTime('UTC')}) AND (occurred_at < {to:DateTime('UTC')})
            ))
        ) AS e
        GROUP BY e.sale_id
        HAVING (countIf(e.kind = 'payment') > 0) AND (count() = count(e.net_usd)) AND (sold_at >= {from:DateTime('UTC')}) AND (sold_at < {to:DateTime('UTC')})
    ),
    known AS
    (
        SELECT DISTINCT
            sipHash64(multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id)) AS buyer,
            sipHash64(visitor_id) AS visitor
        FROM ledger
        FINAL
        WHERE (workspace = {workspace:String}) AND (status = 'booked') AND (amount != 0) AND (livemode = {livemode:Bool}) AND (kind = 'payment') AND (visitor_id != '') AND (buyer IN (
            SELECT sipHash64(multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id))
            FROM ledger
            WHERE (workspace = {workspace:String}) AND (kind = 'payment') AND (occurred_at >= {from:DateTime('UTC')}) AND (occurred_at < {to:DateTime('UTC')})
        ))
    )
SELECT
    s.sale_id AS sale_id,
    s.sold_at AS sold_at,
    s.net_usd AS net_usd,
    s.first.2 AS credited,
    s.first.3 AS credited_channel,
    s.first.4 AS credited_rule,
    s.first.5 AS credited_click,
    s.first.6 AS credited_at,
    s.entries AS entries,
    arrayFilter(touch -> (((touch.1) < (s.sold_at + toIntervalSecond(1))) AND ((touch.1) >= (s.sold_at - toIntervalDay({lookback_days:UInt16})))), b.touches) AS touches
FROM sold AS s
LEFT JOIN
(
    SELECT
        buyer,
        arraySort(arrayFlatten(groupArray(counted))) AS touches
    FROM
    (
        SELECT
            k.buyer AS buyer,
            arrayMap(touch -> (touch.1, touch.2, touch.3, touch.4), arrayFilter(touch -> (NOT (touch.5)), arrayFold((chosen, touch) -> if(empty(chosen) OR ((touch.1) > (((chosen[-1]).1) + toIntervalHour(1))), arrayPushBack(chosen, touch), chosen), arraySort(groupArray((c.clicked_at, c.click_id, c.name, c.channel, c.copy))), CAST('[]', 'Array(Tuple(DateTime64(3, \'UTC\'), FixedString(16), String, String, Bool))')))) AS counted
        FROM
        (
            SELECT
                sipHash64(visitor_id) AS visitor,
                clicked_at,
                click_id,
                toString(channel) AS channel,
                multiIf({dimension:String} = 'affiliate', affiliate_id, {dimension:String} = 'program', program_id, {dimension:String} = 'link', link_id, {dimension:String} = 'source', utm_source, {dimension:String} = 'medium', utm_medium, {dimension:String} = 'campaign', utm_campaign, channel) AS name,
                visitor_link,
                (foreign_id != '') AND (click_id IN (
                    SELECT arrayJoin((arrayFold((known, click) -> if((click.1) > ((known.1) + toIntervalHour(1)), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))), arraySort(groupArray((clicked_at, click_id))), (toDateTime64(0, 3, 'UTC'), CAST('[]', 'Array(FixedString(16))')))).2)
                    FROM clicks
                    FINAL
                    WHERE (workspace = {workspace:String}) AND (NOT is_bot) AND (foreign_id != '') AND (clicked_at >= since) AND (clicked_at < {to:DateTime('UTC')})
                    GROUP BY foreign_id
                    HAVING count() > 1
                )) AS copy
            FROM clicks
            FINAL
            WHERE (workspace = {workspace:String}) AND (NOT is_bot) AND (visitor_id != '') AND (clicked_at >= since) AND (clicked_at < {to:DateTime('UTC')})
        ) AS c
        INNER JOIN known AS k ON k.visitor = c.visitor
        GROUP BY
            k.buyer,
            k.visitor,
            c.visitor_link
    )
    GROUP BY buyer
) AS b ON b.buyer = (s.first.1);
