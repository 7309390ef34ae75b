-- +goose Up
-- The clicks before a sale, for the models of attribution:
--   * Stripe's times are whole seconds, so a click of the second of the sale is before it.
--   * A redirect and the page behind it that report one arrival with one foreign_id are one click, as in clicks_counted.
--   * since is 1970 at the earliest: a DateTime before that would be one after 2100, and no click would be found.
-- sale_touches(workspace, livemode, from, to, lookback_days, dimension): one row for each sale of the time whose money is all converted.
--   net_usd         the sale with all its refunds and disputes, whenever these happened, without tax
--   entries         each booked entry: the name that the ledger credits, net USD
--   touches         the buyer's clicks that count in the lookback_days before the sale: (time, click id, name, channel), oldest first
--   credited, …     whom the ledger credits with the first payment, of which channel, by which rule and click, and when that was
-- A name is the affiliate, program, link, source, medium, campaign or channel, as dimension says.
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
            -- The browsers of a buyer are those whose clicks the buyer's sales are credited to.
            SELECT *, groupUniqArrayIf(visitor, visitor != '') OVER (PARTITION BY buyer) AS visitors
            FROM
            (
                SELECT
                    e.sale_id AS sale_id,
                    minIf(e.occurred_at, e.kind = 'payment') AS sold_at,
                    argMinIf(e.visitor_id, e.occurred_at, e.kind = 'payment') AS visitor,
                    argMinIf(
                        multiIf(e.external_customer_id != '', e.external_customer_id, e.customer_id != '', e.customer_id, e.sale_id),
                        e.occurred_at, e.kind = 'payment'
                    ) AS buyer,
                    toDecimal128(assumeNotNull(sum(e.net_usd)), 6) AS net_usd,
                    argMinIf(e.name, e.occurred_at, e.kind = 'payment') AS credited,
                    argMinIf(toString(e.channel), e.occurred_at, e.kind = 'payment') AS credited_channel,
                    argMinIf(toString(e.match_rule), e.occurred_at, e.kind = 'payment') AS credited_rule,
                    argMinIf(e.click_id, e.occurred_at, e.kind = 'payment') AS credited_click,
                    argMinIf(tuple(e.clicked_at), e.occurred_at, e.kind = 'payment').1 AS credited_at,
                    groupArray((e.name, toDecimal128(assumeNotNull(e.net_usd), 6))) AS entries
                FROM
                (
                    SELECT
                        *,
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
                ) AS e
                GROUP BY e.sale_id
                HAVING countIf(e.kind = 'payment') > 0 AND count() = count(e.net_usd)
            )
        )
        WHERE sold_at >= {from:DateTime('UTC')} AND sold_at < {to:DateTime('UTC')}
    ) AS s ON c.visitor_id = s.visitor_id
    GROUP BY s.sale_id, c.visitor_id, c.visitor_link
)
GROUP BY sale_id
COMMENT 'Sales with the clicks before them; parameters: workspace, livemode, from, to, lookback_days, dimension';

-- channel_effects(workspace, livemode, from, to, lookback_days): which part of the sales would be lost without a channel. The visitors'
-- paths from channel to channel are a Markov chain of first order; the effect of a channel is 1 - P(sale without it) / P(sale) (Anderl et
-- al., "Mapping the customer journey", 2016). A hundred steps of the chain are followed; hardly any path is longer.
CREATE OR REPLACE VIEW channel_effects AS
WITH
    toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - 86400 * {lookback_days:UInt16}), 'UTC') AS since,
    -- One path a visitor: channels in order, a repeated one once, and whether it ended in a sale.
    paths AS
    (
        SELECT
            arrayCompact(arrayMap(
                touch -> touch.2, arraySort(arrayFilter(touch -> NOT bought OR touch.1 < bought_at + toIntervalSecond(1), clicked))
            )) AS channels,
            bought
        FROM
        (
            SELECT visitor_id, groupArray((clicked_at, toString(channel), click_id)) AS clicked
            FROM clicks FINAL
            WHERE workspace = {workspace:String} AND NOT is_bot AND visitor_id != ''
                AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
                AND (foreign_id = '' OR NOT click_id IN
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
            GROUP BY visitor_id
        ) AS c
        LEFT JOIN
        (
            SELECT visitor_id, max(occurred_at) AS bought_at, true AS bought
            FROM ledger FINAL
            WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool} AND kind = 'payment'
                AND visitor_id != '' AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
            GROUP BY visitor_id
        ) AS s USING (visitor_id)
        WHERE notEmpty(channels)
    ),
    steps AS
    (
        SELECT a, mapFromArrays(groupArray(b), groupArray(n / total)) AS probabilities
        FROM
        (
            SELECT a, b, count() AS n, sum(n) OVER (PARTITION BY a) AS total
            FROM paths
            ARRAY JOIN arrayPushFront(channels, '(begin)') AS a, arrayPushBack(channels, if(bought, '(sale)', '(end)')) AS b
            GROUP BY a, b
        )
        GROUP BY a
    ),
    chain AS
    (
        SELECT
            arraySort(groupUniqArrayIf(a, a != '(begin)')) AS names,
            mapFromArrays(groupArray(a), groupArray(probabilities)) AS p
        FROM steps
    )
SELECT channel, effect
FROM
(
    SELECT
        names,
        arrayMap(name -> p['(begin)'][name], names) AS begin,
        arrayMap(name -> p[name]['(sale)'], names) AS sale,
        arrayMap(name -> arrayMap(before -> p[before][name], names), names) AS into,
        -- state: the chance of a sale so far, and where the visitor is now.
        arrayMap(removed -> arrayFold(
            (state, step) -> (
                state.1 + arrayDotProduct(state.2, sale),
                arrayMap((name, from) -> if(name = removed, 0., arrayDotProduct(state.2, from)), names, into)
            ),
            range(100),
            (0., arrayMap((name, x) -> if(name = removed, 0., x), names, begin))
        ).1, arrayPushFront(names, '')) AS sales
    FROM chain
)
ARRAY JOIN names AS channel, arrayMap(x -> if(sales[1] = 0, 0., 1 - x / sales[1]), arrayPopFront(sales)) AS effect
COMMENT 'Removal effect of each channel, 0 to 1; parameters: workspace, livemode, from, to, lookback_days';
