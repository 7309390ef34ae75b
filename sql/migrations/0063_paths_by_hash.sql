-- +goose Up
-- Models of attribution in half the time. Visitors and buyers are compared by hashes, and only clicks of those browsers are put together whose
-- buyers bought in the time, once for each browser and not for each sale.

-- sale_touches(workspace, livemode, from, to, lookback_days, dimension): as in 0055, but that a buyer's browsers are those of all payments
-- of the buyer, not of the first payment of each sale that has rates.
CREATE OR REPLACE VIEW sale_touches AS
WITH
    toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - 86400 * ({lookback_days:UInt16} + 1)), 'UTC') AS since,
    sold AS
    (
        SELECT
            e.sale_id AS sale_id,
            minIf(e.occurred_at, e.kind = 'payment') AS sold_at,
            -- Of two payments at the same time the one with the lesser id is the first, as in sales.
            argMinIf((sipHash64(e.buyer), e.name, toString(e.channel), toString(e.match_rule), e.click_id, e.clicked_at),
                (e.occurred_at, e.object_id), e.kind = 'payment') AS first,
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
    ),
    -- The browsers of a buyer are those whose clicks the buyer's payments, whenever these were, are credited to.
    known AS
    (
        SELECT DISTINCT
            sipHash64(multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id)) AS buyer,
            sipHash64(visitor_id) AS visitor
        FROM ledger FINAL
        WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool} AND kind = 'payment' AND visitor_id != ''
            AND buyer IN -- those who may have bought in this time
            (
                SELECT sipHash64(multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id))
                FROM ledger
                WHERE workspace = {workspace:String} AND kind = 'payment' AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
            )
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
    arrayFilter(touch -> touch.1 < s.sold_at + toIntervalSecond(1) AND touch.1 >= s.sold_at - toIntervalDay({lookback_days:UInt16}), b.touches) AS touches
FROM sold AS s
LEFT JOIN
(
    SELECT k.buyer AS buyer, arraySort(arrayFlatten(groupArray(c.touches))) AS touches
    FROM known AS k
    INNER JOIN
    (
        SELECT visitor, arrayFlatten(groupArray(counted)) AS touches
        FROM
        (
            SELECT
                visitor,
                -- A link that is followed again within an hour of a click that counts is the same click, as in clicks_counted.
                arrayMap(touch -> (touch.1, touch.2, touch.3, touch.4), arrayFilter(touch -> NOT touch.5, arrayFold(
                    (chosen, touch) -> if(empty(chosen) OR touch.1 > chosen[-1].1 + toIntervalHour(1), arrayPushBack(chosen, touch), chosen),
                    arraySort(groupArray((clicked_at, click_id, name, channel, copy))),
                    []::Array(Tuple(DateTime64(3, 'UTC'), FixedString(16), String, String, Bool))
                ))) AS counted
            FROM
            (
                SELECT
                    sipHash64(visitor_id) AS visitor,
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
                    AND visitor IN (SELECT visitor FROM known)
            )
            GROUP BY visitor, visitor_link
        )
        GROUP BY visitor
    ) AS c ON c.visitor = k.visitor
    GROUP BY k.buyer
) AS b ON b.buyer = s.first.1
COMMENT 'Sales with the clicks before them; parameters: workspace, livemode, from, to, lookback_days, dimension';

-- channel_effects(workspace, livemode, from, to, lookback_days): which part of the sales would be lost without a channel. The visitors'
-- paths from channel to channel are a Markov chain of first order; the effect of a channel is 1 - P(sale without it) / P(sale) (Anderl et
-- al., "Mapping the customer journey", 2016). A hundred steps of the chain are followed; hardly any path is longer.
-- As in 0048, but that sales and clicks are grouped together instead of joined.
CREATE OR REPLACE VIEW channel_effects AS
WITH
    toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - 86400 * {lookback_days:UInt16}), 'UTC') AS since,
    -- Channels are counted by their places here, in the order of their names. One that is new since this was read is left out.
    (
        SELECT arraySort(groupArray(toString(channel)))
        FROM
        (
            SELECT DISTINCT channel
            FROM clicks
            WHERE workspace = {workspace:String} AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
        )
    ) AS all_channels,
    -- One path a visitor: channels in order, a repeated one once, and whether it ended in a sale. A touch is one number, its time in
    -- milliseconds and the place of its channel, because arrays of numbers are several times as fast as those of tuples.
    paths AS
    (
        SELECT
            countIf(place = 65535) > 0 AS bought,
            maxIf(at, place = 65535) AS bought_at,
            arrayCompact(arrayMap(
                touch -> toUInt16(bitAnd(touch, 65535)),
                arraySort(arrayFilter(touch -> NOT bought OR touch < (bought_at + 1000) * 65536, groupArrayIf(at * 65536 + place, place NOT IN (0, 65535))))
            )) AS channels
        FROM
        (
            SELECT sipHash64(visitor_id) AS visitor, toUnixTimestamp64Milli(clicked_at) AS at, toUInt16(indexOf(all_channels, channel)) AS place
            FROM clicks FINAL
            WHERE workspace = {workspace:String} AND NOT is_bot AND visitor_id != ''
                AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
                AND (foreign_id = '' OR click_id NOT IN
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
                ))
            UNION ALL
            -- Sales are rows of place 65535.
            SELECT sipHash64(visitor_id), toUnixTimestamp64Milli(occurred_at), 65535
            FROM ledger FINAL
            WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool} AND kind = 'payment'
                AND visitor_id != '' AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
        )
        GROUP BY visitor
        HAVING notEmpty(channels)
    ),
    -- From channel to channel; 0: the begin, 65535: a sale, 65534: the end without one.
    steps AS
    (
        SELECT a, mapFromArrays(groupArray(b), groupArray(n / total)) AS probabilities
        FROM
        (
            SELECT a, b, count() AS n, sum(n) OVER (PARTITION BY a) AS total
            FROM paths
            ARRAY JOIN arrayPushFront(channels, 0) AS a, arrayPushBack(channels, if(bought, 65535, 65534)) AS b
            GROUP BY a, b
        )
        GROUP BY a
    ),
    chain AS
    (
        SELECT
            arraySort(groupUniqArrayIf(a, a != 0)) AS names,
            mapFromArrays(groupArray(a), groupArray(probabilities)) AS p
        FROM steps
    )
SELECT channel, effect
FROM
(
    SELECT
        names,
        arrayMap(name -> p[0][name], names) AS begin,
        arrayMap(name -> p[name][65535], names) AS sale,
        arrayMap(name -> arrayMap(before -> p[before][name], names), names) AS into,
        -- state: the chance of a sale so far, and where the visitor is now.
        arrayMap(removed -> arrayFold(
            (state, step) -> (
                state.1 + arrayDotProduct(state.2, sale),
                arrayMap((name, from) -> if(name = removed, 0., arrayDotProduct(state.2, from)), names, into)
            ),
            range(100),
            (0., arrayMap((name, x) -> if(name = removed, 0., x), names, begin))
        ).1, arrayPushFront(names, 0)) AS sales
    FROM chain
)
ARRAY JOIN arrayMap(name -> all_channels[name], names) AS channel, arrayMap(x -> if(sales[1] = 0, 0., 1 - x / sales[1]), arrayPopFront(sales)) AS effect
COMMENT 'Removal effect of each channel, 0 to 1; parameters: workspace, livemode, from, to, lookback_days';
