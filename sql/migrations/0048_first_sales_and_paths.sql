-- +goose Up
-- A buyer's first sale is found by grouping all payments of a workspace by buyer, and the two or three texts that name one took a third
-- of its time. Now revenue has their hash. It is computed from the row itself, so it is right whatever becomes known of an entry later.
ALTER TABLE revenue
    ADD COLUMN IF NOT EXISTS buyer UInt64 MATERIALIZED sipHash64(multiIf(external_customer_id != '', external_customer_id,
        customer_id != '', customer_id, sale_id))
        COMMENT 'sipHash64 of the buyer: external_customer_id, else customer_id, else, of a guest, sale_id' AFTER external_customer_id;
ALTER TABLE revenue MATERIALIZE COLUMN buyer; -- in the background: until then it is computed when it is read

-- Written by templates/activity.sql.
CREATE OR REPLACE VIEW activity AS
WITH
    if({stored:Bool},
        (
            SELECT groupArray(day)
            FROM
            (
                SELECT day
                FROM click_days
                WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1)
                GROUP BY day
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1) OR max(counted_at) < max(computed_at)
            )
        ),
        arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1))) AS open,
    (
        -- FINAL reads from every part that may have a key, so one of each month, unless a condition on the key rules it out. Read
        -- without FINAL, for an id counts here that any version of it is of these days.
        SELECT (min(click_id), max(click_id))
        FROM clicks
        WHERE workspace = {workspace:String} AND notEmpty(open)
            AND has(arrayConcat(open, arrayMap(day -> day - 1, open)), toDate(clicked_at))
    ) AS ids
SELECT
    what, at, who, visitor, quantity, sale_id, kind, attributed, first_sale, net,
    if({dimension:String} = 'program', program, if({dimension:String} = 'affiliate', affiliate, if({dimension:String} = 'link', link, if({dimension:String} = 'source', source, if({dimension:String} = 'medium', medium, if({dimension:String} = 'campaign', campaign, if({dimension:String} = 'channel', channel, if({dimension:String} = 'country', country, if({dimension:String} = 'device', device, if({dimension:String} = 'product', product, '')))))))))) AS name
FROM
(
    SELECT
        'click' AS what, c.clicked_at AS at, c.visitor AS who, sipHash64(c.visitor) AS visitor, 1 AS quantity, '' AS sale_id, '' AS kind,
        false AS attributed, false AS first_sale, CAST(NULL, 'Nullable(Decimal(38, 6))') AS net,
        program_id AS program,
        toLowCardinality(affiliate_id) AS affiliate,
        toLowCardinality(link_id) AS link,
        utm_source AS source,
        utm_medium AS medium,
        utm_campaign AS campaign,
        channel AS channel,
        country AS country,
        device AS device,
        '' AS product
    FROM clicks AS c FINAL
    WHERE workspace = {workspace:String} AND click_id >= ids.1 AND click_id <= ids.2 AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}
        AND has(open, toDate(clicked_at)) AND identity(click_id) NOT IN -- identity: the index cannot help, and searching it takes longer
        (
            SELECT arrayJoin(arrayFold(
                (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                arraySort(groupArray((clicked_at, click_id))),
                (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
            FROM clicks FINAL
            ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
            WHERE workspace = {workspace:String} AND click_id >= ids.1 AND click_id <= ids.2 AND NOT is_bot AND clicked_at < {to:DateTime('UTC')}
                AND has(arrayConcat(open, arrayMap(day -> day - 1, open)), toDate(clicked_at))
            GROUP BY arrival
            HAVING count() > 1
        )
    UNION ALL
    WITH arrayResize([]::Array(LowCardinality(String)), length(counted.at), '') AS unread
    SELECT
        'click', toDateTime64(clicked, 3, 'UTC'), '', who, 1, '', '', false, false, NULL, of_program, of_affiliate, of_link, of_source, of_medium, of_campaign, of_channel, of_country, of_device, ''
    FROM clicks_by_day FINAL
    ARRAY JOIN
        counted.at AS clicked, counted.visitor AS who,
        if({dimension:String} = 'program' OR mapContains({only:Map(String, Array(String))}, 'program') OR mapContains({without:Map(String, Array(String))}, 'program'), counted.program, unread) AS of_program,
        if({dimension:String} = 'affiliate' OR mapContains({only:Map(String, Array(String))}, 'affiliate') OR mapContains({without:Map(String, Array(String))}, 'affiliate'), counted.affiliate, unread) AS of_affiliate,
        if({dimension:String} = 'link' OR mapContains({only:Map(String, Array(String))}, 'link') OR mapContains({without:Map(String, Array(String))}, 'link'), counted.link, unread) AS of_link,
        if({dimension:String} = 'source' OR mapContains({only:Map(String, Array(String))}, 'source') OR mapContains({without:Map(String, Array(String))}, 'source'), counted.source, unread) AS of_source,
        if({dimension:String} = 'medium' OR mapContains({only:Map(String, Array(String))}, 'medium') OR mapContains({without:Map(String, Array(String))}, 'medium'), counted.medium, unread) AS of_medium,
        if({dimension:String} = 'campaign' OR mapContains({only:Map(String, Array(String))}, 'campaign') OR mapContains({without:Map(String, Array(String))}, 'campaign'), counted.campaign, unread) AS of_campaign,
        if({dimension:String} = 'channel' OR mapContains({only:Map(String, Array(String))}, 'channel') OR mapContains({without:Map(String, Array(String))}, 'channel'), counted.channel, unread) AS of_channel,
        if({dimension:String} = 'country' OR mapContains({only:Map(String, Array(String))}, 'country') OR mapContains({without:Map(String, Array(String))}, 'country'), counted.country, unread) AS of_country,
        if({dimension:String} = 'device' OR mapContains({only:Map(String, Array(String))}, 'device') OR mapContains({without:Map(String, Array(String))}, 'device'), counted.device, unread) AS of_device
    WHERE workspace = {workspace:String} AND dimension = '' AND value = ''
        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day)
        AND clicked >= {from:DateTime('UTC')} AND clicked < {to:DateTime('UTC')}
    UNION ALL
    SELECT
        'lead', received_at, person, 0, quantity, '', '', false, false, NULL, toLowCardinality(program_id), toLowCardinality(affiliate_id), toLowCardinality(link_id), '', '', toLowCardinality(utm_campaign), '', toLowCardinality(country), '', ''
    FROM people
    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
        AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
    UNION ALL
    WITH
        multiIf(
            -- Money of the reporting currency is shown as it was paid. Minor units by Stripe's rules, as in processor/fx/exponents.csv.
            e.currency = {currency:String}, CAST(toDecimal128(e.amount - e.tax, 6) / multiIf(
                e.currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'), 1,
                e.currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd'), 1000, 100), 'Nullable(Decimal(38, 6))'),
            e.day > r.until, NULL,
            CAST(roundBankers(toDecimal256(e.net_usd, 24) / nullIf(r.usd, 0), 6), 'Nullable(Decimal(38, 6))')
        ) AS whole,
        -- Parts of the net that have the proportions of product_net and add up to it: each is what all parts up to it have, less
        -- what all before it have. An entry that names no product is one part.
        arrayJoin(if({dimension:String} != 'product' AND NOT mapContains({only:Map(String, Array(String))}, 'product')
            AND NOT mapContains({without:Map(String, Array(String))}, 'product') OR empty(e.products), [('', whole)],
            arrayMap((product, upto, own) -> (toString(product), CAST(
                toDecimal256(whole, 6) * upto / arraySum(e.product_net)
                - toDecimal256(whole, 6) * (upto - own) / arraySum(e.product_net), 'Nullable(Decimal(38, 6))')),
                e.products, arrayCumSum(e.product_net), e.product_net))) AS part
    SELECT
        'entry', e.occurred_at, e.buyer, 0, 0, e.sale_id, e.kind, e.match_rule NOT IN ('', 'none'),
        e.sale_id IN
        (
            -- The buyer's earliest payment, of two at the same time that of the least sale_id. As one text, because the
            -- engine compares texts in half the time of pairs.
            SELECT substring(min(concat(toString(toUnixTimestamp64Milli(f.occurred_at) + 100000000000000), f.sale_id)), 16)
            FROM revenue AS f FINAL
            WHERE f.workspace = {workspace:String} AND f.livemode = {livemode:Bool} AND f.status = 'booked' AND f.amount != 0 AND f.kind = 'payment'
            GROUP BY f.buyer
        ),
        part.2, e.program_id, toLowCardinality(e.affiliate_id), toLowCardinality(e.link_id), e.utm_source, e.utm_medium, e.utm_campaign, e.channel, e.country, e.device, part.1
    FROM
    (
        SELECT
            day, occurred_at, sale_id, kind, match_rule, currency, amount, tax, net_usd, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country, device, products, product_net,
            {currency:String} AS reporting, multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND status = 'booked' AND amount != 0
            AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
            AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
    ) AS e
    ASOF LEFT JOIN
    (
        SELECT day, until, usd, {currency:String} AS reporting
        FROM reporting_rates(currency = {currency:String}, source = {rates:String})
    ) AS r ON e.reporting = r.reporting AND e.day >= r.day
)
WHERE NOT throwIf(
        {dimension:String} NOT IN ('', 'program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device', 'product')
            OR notEmpty(arrayFilter(
                given -> given NOT IN ('program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device', 'product'),
                arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))})))),
        'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device, product')
    -- Each if is decided before reading, so that columns which only other filters need are not read.
    AND if(mapContains({only:Map(String, Array(String))}, 'program'), has({only:Map(String, Array(String))}['program'], program), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'affiliate'), has({only:Map(String, Array(String))}['affiliate'], affiliate), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'link'), has({only:Map(String, Array(String))}['link'], link), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'source'), has({only:Map(String, Array(String))}['source'], source), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'medium'), has({only:Map(String, Array(String))}['medium'], medium), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'campaign'), has({only:Map(String, Array(String))}['campaign'], campaign), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'channel'), has({only:Map(String, Array(String))}['channel'], channel), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'country'), has({only:Map(String, Array(String))}['country'], country), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'device'), has({only:Map(String, Array(String))}['device'], device), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'product'), has({only:Map(String, Array(String))}['product'], product), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'program'), NOT has({without:Map(String, Array(String))}['program'], program), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'affiliate'), NOT has({without:Map(String, Array(String))}['affiliate'], affiliate), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'link'), NOT has({without:Map(String, Array(String))}['link'], link), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'source'), NOT has({without:Map(String, Array(String))}['source'], source), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'medium'), NOT has({without:Map(String, Array(String))}['medium'], medium), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'campaign'), NOT has({without:Map(String, Array(String))}['campaign'], campaign), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'channel'), NOT has({without:Map(String, Array(String))}['channel'], channel), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'country'), NOT has({without:Map(String, Array(String))}['country'], country), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'device'), NOT has({without:Map(String, Array(String))}['device'], device), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'product'), NOT has({without:Map(String, Array(String))}['product'], product), true)
COMMENT 'Clicks, leads and booked entries in one list; parameters: workspace, livemode, from, to, dimension, only, without, currency, rates, stored';

-- As in 0033, but that a touch is a number: arrays of tuples took half the time of this view.
-- channel_effects(workspace, livemode, from, to, lookback_days): which part of the sales would be lost without a channel. The visitors'
-- paths from channel to channel are a Markov chain of first order; the effect of a channel is 1 - P(sale without it) / P(sale) (Anderl et
-- al., "Mapping the customer journey", 2016). A hundred steps of the chain are followed; hardly any path is longer.
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
            arrayCompact(arrayFilter(place -> place > 0, arrayMap(
                touch -> toUInt16(bitAnd(touch, 65535)),
                arraySort(if(bought, arrayFilter(touch -> touch < (toUnixTimestamp64Milli(bought_at) + 1000) * 65536, clicked), clicked))
            ))) AS channels,
            bought
        FROM
        (
            SELECT visitor_id, groupArray(toUnixTimestamp64Milli(clicked_at) * 65536 + indexOf(all_channels, channel)) AS clicked
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
