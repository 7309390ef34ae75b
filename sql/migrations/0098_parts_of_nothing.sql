-- +goose Up
-- The parts of an entry by product were divided by their sum, which is 0 where the entry has no net: questions by product had no answer.
-- Written by templates/activity.sql.
CREATE OR REPLACE VIEW activity AS
WITH
    if({stored:Bool},
        (
            -- Which days are read from clicks, and which ids these and the days before have: FINAL reads from every part that may have
            -- a key, so one of each month, unless a condition on the key rules it out.
            SELECT (groupArray(day), min(least_click), max(greatest_click))
            FROM
            (
                SELECT day, min(first_click) AS least_click, max(last_click) AS greatest_click
                FROM click_days
                WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1)
                GROUP BY day
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1) OR max(counted_at) < max(computed_at)
            )
        ),
        (
            SELECT (
                arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1)),
                min(click_id), max(click_id))
            FROM clicks
            WHERE NOT {stored:Bool} AND workspace = {workspace:String}
                AND clicked_at >= toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(2) AND clicked_at < {to:DateTime('UTC')}
        )) AS looked_up,
    looked_up.1 AS open
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
    WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}
        AND has(open, toDate(clicked_at)) AND identity(click_id) NOT IN -- identity: the index cannot help, and searching it takes longer
        (
            SELECT arrayJoin(arrayFold(
                (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                arraySort(groupArray((clicked_at, click_id))),
                (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
            FROM clicks FINAL
            ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
            WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at < {to:DateTime('UTC')}
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
        -- what all before it have. An entry that names no product is one part, and so is one whose parts add up to nothing: its net
        -- is nothing, too. nullIf: the quotient may be computed before if leaves it out.
        arrayJoin(if({dimension:String} != 'product' AND NOT mapContains({only:Map(String, Array(String))}, 'product')
            AND NOT mapContains({without:Map(String, Array(String))}, 'product') OR empty(e.products) OR arraySum(e.product_net) = 0, [('', whole)],
            arrayMap((product, upto, own) -> (toString(product), CAST(
                toDecimal256(whole, 6) * upto / nullIf(arraySum(e.product_net), 0)
                - toDecimal256(whole, 6) * (upto - own) / nullIf(arraySum(e.product_net), 0), 'Nullable(Decimal(38, 6))')),
                e.products, arrayCumSum(e.product_net), e.product_net))) AS part
    SELECT
        'entry' AS what, e.occurred_at AS at, e.buyer AS who, 0 AS visitor, 0 AS quantity, e.sale_id AS sale_id, e.kind AS kind,
        e.match_rule NOT IN ('', 'none') AS attributed,
        e.sale_id IN
        (
            -- The buyer's earliest payment, of two at the same time that of the least sale_id. As one text, because the
            -- engine compares texts in half the time of pairs.
            SELECT substring(min(concat(toString(toUnixTimestamp64Milli(f.occurred_at) + 100000000000000), f.sale_id)), 16)
            FROM revenue AS f FINAL
            WHERE f.workspace = {workspace:String} AND f.livemode = {livemode:Bool} AND f.status = 'booked' AND f.amount != 0 AND f.kind = 'payment'
            GROUP BY f.buyer
        ) AS first_sale,
        part.2 AS net, e.program_id AS program, toLowCardinality(e.affiliate_id) AS affiliate, toLowCardinality(e.link_id) AS link, e.utm_source AS source, e.utm_medium AS medium, e.utm_campaign AS campaign, e.channel AS channel, e.country AS country, e.device AS device, part.1 AS product
    FROM
    (
        SELECT
            occurred_at, sale_id, kind, match_rule, net_usd, day, currency, amount, tax, {currency:String} AS reporting, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country, device, products, product_net,
            multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer
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
