-- +goose Up
-- Models of attribution in half the time. Visitors and buyers are compared by hashes, clicks are put together once for each buyer and not for
-- each sale, and the paths of all visitors are read from the lists of closed days.

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
    SELECT buyer, arraySort(arrayFlatten(groupArray(counted))) AS touches
    FROM
    (
        SELECT
            k.buyer AS buyer,
            -- A link that is followed again within an hour of a click that counts is the same click, as in clicks_counted.
            arrayMap(touch -> (touch.1, touch.2, touch.3, touch.4), arrayFilter(touch -> NOT touch.5, arrayFold(
                (chosen, touch) -> if(empty(chosen) OR touch.1 > chosen[-1].1 + toIntervalHour(1), arrayPushBack(chosen, touch), chosen),
                arraySort(groupArray((c.clicked_at, c.click_id, c.name, c.channel, c.copy))),
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
        ) AS c
        INNER JOIN known AS k ON k.visitor = c.visitor
        GROUP BY k.buyer, k.visitor, c.visitor_link
    )
    GROUP BY buyer
) AS b ON b.buyer = s.first.1
COMMENT 'Sales with the clicks before them; parameters: workspace, livemode, from, to, lookback_days, dimension';

-- channel_effects(workspace, livemode, from, to, lookback_days): which part of the sales would be lost without a channel. The visitors'
-- paths from channel to channel are a Markov chain of first order; the effect of a channel is 1 - P(sale without it) / P(sale) (Anderl et
-- al., "Mapping the customer journey", 2016). A hundred steps of the chain are followed; hardly any path is longer.
-- As in 0048, but that clicks are read from the lists of closed days, through activity, so only those that count; that sales and clicks are
-- grouped together instead of joined; and that clicks of one second are in the order of their channels' names.
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
    -- Clicks that count, by their second: those of closed days are known by it. A touch is one number, its second and the place of its
    -- channel, because arrays of numbers are several times as fast as those of tuples. Sales have the place 65535.
    touched AS
    (
        SELECT visitor, toUnixTimestamp(toDateTime(at, 'UTC')) * 65536 + indexOf(all_channels, toString(name)) AS touch
        FROM activity(
            workspace = {workspace:String}, livemode = {livemode:Bool},
            from = toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - 86400 * {lookback_days:UInt16}), 'UTC'),
            to = {to:DateTime('UTC')}, dimension = 'channel', only = map()::Map(String, Array(String)),
            without = map()::Map(String, Array(String)), currency = 'usd', rates = '', stored = true
        )
        WHERE what = 'click' AND visitor NOT IN -- a browser without an id is another one each day, and no sale is known to be its
        (
            SELECT sipHash64(hex(identity_hash))
            FROM clicks
            WHERE workspace = {workspace:String} AND visitor_id = '' AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
        )
        UNION ALL
        SELECT sipHash64(visitor_id), toUnixTimestamp(toDateTime(occurred_at, 'UTC')) * 65536 + 65535
        FROM ledger FINAL
        WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool} AND kind = 'payment'
            AND visitor_id != '' AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
    ),
    -- One path a visitor: channels in order, a repeated one once, up to the last sale, and whether there is one.
    paths AS
    (
        SELECT
            arraySort(groupArray(touch)) AS sorted,
            arrayLastIndex(touch -> bitAnd(touch, 65535) = 65535, sorted) AS last_sale,
            last_sale > 0 AS bought,
            arrayCompact(arrayFilter(place -> place NOT IN (0, 65535), arrayMap(
                touch -> toUInt16(bitAnd(touch, 65535)), if(bought, arraySlice(sorted, 1, last_sale), sorted)
            ))) AS channels
        FROM touched
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
