-- +goose Up
-- As in 0033, but that only sales of the time that is asked for are put together with all their columns. It was all sales of the
-- workspace, sorted by buyer to know the buyer's browsers. Now these are found by themselves, from the few columns that they need.
CREATE OR REPLACE VIEW sale_touches AS
WITH toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - 86400 * ({lookback_days:UInt16} + 1)), 'UTC') AS since
SELECT
    sale_id,
    any(sold_at) AS sold_at,
    any(net_usd) AS net_usd,
    any(credited) AS credited,
    any(credited_channel) AS credited_channel,
    any(credited_rule) AS credited_rule,
    any(credited_click) AS credited_click,
    any(credited_at) AS credited_at,
    any(entries) AS entries,
    arraySort(arrayFlatten(groupArray(counted))) AS touches
FROM
(
    SELECT
        s.sale_id AS sale_id,
        any(s.sold_at) AS sold_at,
        any(s.net_usd) AS net_usd,
        any(s.credited) AS credited,
        any(s.credited_channel) AS credited_channel,
        any(s.credited_rule) AS credited_rule,
        any(s.credited_click) AS credited_click,
        any(s.credited_at) AS credited_at,
        any(s.entries) AS entries,
        -- A link that is followed again within an hour of a click that counts is the same click, as in clicks_counted.
        arrayMap(touch -> (touch.1, touch.2, touch.3, touch.4), arrayFilter(
            touch -> touch.1 < sold_at + toIntervalSecond(1) AND touch.1 >= sold_at - toIntervalDay({lookback_days:UInt16}) AND NOT touch.5,
            arrayFold(
                (chosen, touch) -> if(empty(chosen) OR touch.1 > chosen[-1].1 + toIntervalHour(1), arrayPushBack(chosen, touch), chosen),
                arraySort(groupArrayIf((c.clicked_at, c.click_id, c.name, c.channel, c.copy), c.visitor_id != '')),
                []::Array(Tuple(DateTime64(3, 'UTC'), FixedString(16), String, String, Bool))
            )
        )) AS counted
    FROM
    (
        SELECT
            visitor_id,
            clicked_at,
            click_id,
            toString(channel) AS channel,
            multiIf(
                {dimension:String} = 'affiliate', affiliate_id,
                {dimension:String} = 'program', program_id,
                {dimension:String} = 'link', link_id,
                {dimension:String} = 'source', utm_source,
                {dimension:String} = 'medium', utm_medium,
                {dimension:String} = 'campaign', utm_campaign,
                channel
            ) AS name,
            visitor_link,
            foreign_id != '' AND click_id IN
            (
                SELECT arrayJoin(arrayFold(
                    (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                    arraySort(groupArray((clicked_at, click_id))),
                    (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))
                ).2)
                FROM clicks FINAL
                WHERE workspace = {workspace:String} AND NOT is_bot AND foreign_id != '' AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
                GROUP BY foreign_id
                HAVING count() > 1
            ) AS copy
        FROM clicks FINAL
        WHERE workspace = {workspace:String} AND NOT is_bot AND visitor_id != ''
            AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
    ) AS c
    RIGHT JOIN
    (
        SELECT
            sale_id, sold_at, net_usd, credited, credited_channel, credited_rule, credited_click, credited_at, entries,
            arrayJoin(if(empty(visitors), [''], visitors)) AS visitor_id
        FROM
        (
            SELECT
                e.sale_id AS sale_id,
                minIf(e.occurred_at, e.kind = 'payment') AS sold_at,
                -- Of two payments at the same time the one with the lesser id is the first, as in sales.
                argMinIf((e.buyer, e.name, toString(e.channel), toString(e.match_rule), e.click_id, e.clicked_at),
                    (e.occurred_at, e.object_id), e.kind = 'payment') AS first,
                first.1 AS buyer, first.2 AS credited, first.3 AS credited_channel, first.4 AS credited_rule,
                first.5 AS credited_click, first.6 AS credited_at,
                toDecimal128(assumeNotNull(sum(e.net_usd)), 6) AS net_usd,
                groupArray((e.name, toDecimal128(assumeNotNull(e.net_usd), 6))) AS entries
            FROM
            (
                SELECT
                    *,
                    multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer,
                    multiIf(
                        {dimension:String} = 'affiliate', affiliate_id,
                        {dimension:String} = 'program', program_id,
                        {dimension:String} = 'link', link_id,
                        {dimension:String} = 'source', utm_source,
                        {dimension:String} = 'medium', utm_medium,
                        {dimension:String} = 'campaign', utm_campaign,
                        channel
                    ) AS name
                FROM ledger FINAL
                WHERE NOT throwIf({dimension:String} NOT IN ('affiliate', 'program', 'link', 'source', 'medium', 'campaign', 'channel'),
                        'dimension is one of affiliate, program, link, source, medium, campaign, channel')
                    AND workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool}
                    AND sale_id IN -- those that may have been sold in this time; without FINAL these may be more
                    (
                        SELECT sale_id
                        FROM ledger
                        WHERE workspace = {workspace:String} AND kind = 'payment' AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
                    )
            ) AS e
            GROUP BY e.sale_id
            HAVING countIf(e.kind = 'payment') > 0 AND count() = count(e.net_usd) AND sold_at >= {from:DateTime('UTC')} AND sold_at < {to:DateTime('UTC')}
        ) AS sold
        LEFT JOIN
        (
            -- The browsers of a buyer are those whose clicks the buyer's sales, whenever these were, are credited to.
            SELECT buyer, groupUniqArray(visitor) AS visitors
            FROM
            (
                SELECT
                    argMinIf((
                        visitor_id, multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id)
                    ), (occurred_at, object_id), kind = 'payment') AS first,
                    first.1 AS visitor, first.2 AS buyer
                FROM ledger FINAL
                WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool}
                GROUP BY sale_id
                HAVING countIf(kind = 'payment') > 0 AND countIf(net_usd IS NULL) = 0
            )
            WHERE visitor != ''
            GROUP BY buyer
        ) AS known USING (buyer)
    ) AS s ON c.visitor_id = s.visitor_id
    GROUP BY s.sale_id, c.visitor_id, c.visitor_link
)
GROUP BY sale_id
COMMENT 'Sales with the clicks before them; parameters: workspace, livemode, from, to, lookback_days, dimension';
