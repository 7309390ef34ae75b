-- +goose Up
-- Which ids the clicks and page views of a day have was looked up in clicks and page_views by each question. Now each insert notes it in
-- click_days, where the question looks up anyway which days are open. An id stays noted when its row is deleted or gets another day: then
-- more is read, and nothing is missed.
ALTER TABLE click_days
    ADD COLUMN IF NOT EXISTS first_click SimpleAggregateFunction(min, FixedString(16)) DEFAULT toFixedString(unhex('FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'), 16) COMMENT 'Least click_id of a click of this day, the day before, or of an id of either, whatever version; all bits: none. Read with min' AFTER counted_at,
    ADD COLUMN IF NOT EXISTS last_click SimpleAggregateFunction(max, FixedString(16)) COMMENT 'The greatest in the same way; zero: none. Read with max' AFTER first_click,
    ADD COLUMN IF NOT EXISTS first_page_view SimpleAggregateFunction(min, FixedString(16)) DEFAULT toFixedString(unhex('FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'), 16) COMMENT 'Least page_view_id of a page view of this day; all bits: none. Read with min' AFTER last_click,
    ADD COLUMN IF NOT EXISTS last_page_view SimpleAggregateFunction(max, FixedString(16)) COMMENT 'The greatest; zero: none. Read with max' AFTER first_page_view;

ALTER TABLE click_days_mv MODIFY QUERY
SELECT
    workspace, arrayJoin(arrayDistinct([clicked, clicked + 1, named, named + 1])) AS day, changed_at,
    if(day = clicked, last_received, toDateTime64(0, 3, 'UTC')) AS last_click_received, first_click, last_click
FROM
(
    SELECT
        workspace, toDate(clicked_at) AS clicked, toDate(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(click_id, 1, 6))), 'UTC')) AS named,
        now64(3, 'UTC') AS changed_at, maxIf(received_at, NOT is_bot) AS last_received, min(click_id) AS first_click, max(click_id) AS last_click
    FROM clicks
    GROUP BY workspace, clicked, named
);
ALTER TABLE click_days_of_page_views_mv MODIFY QUERY
SELECT
    workspace, toDate(viewed_at) AS day, now64(3, 'UTC') AS changed_at, maxIf(received_at, NOT is_bot) AS last_page_view_received,
    min(page_view_id) AS first_page_view, max(page_view_id) AS last_page_view
FROM page_views
GROUP BY workspace, day;

-- Those of what was stored before.
INSERT INTO click_days (workspace, day, first_click, last_click)
SELECT workspace, arrayJoin([clicked, clicked + 1]) AS day, first_click, last_click
FROM
(
    SELECT workspace, toDate(clicked_at) AS clicked, min(click_id) AS first_click, max(click_id) AS last_click
    FROM clicks
    GROUP BY workspace, clicked
);
INSERT INTO click_days (workspace, day, first_page_view, last_page_view)
SELECT workspace, toDate(viewed_at) AS day, min(page_view_id), max(page_view_id) FROM page_views GROUP BY workspace, day;

-- Written by templates/clicks_by_dimension.sql.
CREATE OR REPLACE VIEW clicks_by_dimension AS
WITH
    if({stored:Bool},
        (
            -- As in activity.
            SELECT (groupArray(day), min(least_click), max(greatest_click), min(least_page_view), max(greatest_page_view))
            FROM
            (
                SELECT
                    day, min(first_click) AS least_click, max(last_click) AS greatest_click,
                    min(first_page_view) AS least_page_view, max(last_page_view) AS greatest_page_view
                FROM click_days
                WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1)
                GROUP BY day
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1)
                    OR toDateTime(day, 'UTC') < {from:DateTime('UTC')} OR toDateTime(day, 'UTC') + toIntervalDay(1) > {to:DateTime('UTC')}
            )
        ),
        tupleConcat(
            (
                SELECT (
                    arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1)),
                    min(click_id), max(click_id))
                FROM clicks
                WHERE NOT {stored:Bool} AND workspace = {workspace:String}
                    AND clicked_at >= toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(2) AND clicked_at < {to:DateTime('UTC')}
            ),
            (
                SELECT (min(page_view_id), max(page_view_id))
                FROM page_views
                WHERE NOT {stored:Bool} AND workspace = {workspace:String} AND viewed_at >= {from:DateTime('UTC')} AND viewed_at < {to:DateTime('UTC')}
            ))) AS looked_up,
    looked_up.1 AS open,
    greatest(toDateTime64({from:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMin(open), 3, 'UTC')) AS first,
    least(toDateTime64({to:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMax(open), 3, 'UTC') + toIntervalDay(1)) AS next
SELECT dimension, value, day, clicks, page_views, visitors, clicks_at, page_views_at, counted
FROM
(
    SELECT
        name.1 AS dimension, name.2 AS value, day,
        countIf(is_click AND counts) AS clicks,
        countIf(NOT is_click) AS page_views,
        uniqState(visitor) AS visitors,
        sumMapIf(map(quarter, toUInt64(1)), is_click AND counts) AS clicks_at,
        sumMapIf(map(quarter, toUInt64(1)), NOT is_click) AS page_views_at,
        arraySort(groupArrayIf(click, is_click AND counts AND name.1 = '')) AS counted
    FROM
    (
        SELECT
            true AS is_click, toDate(clicked_at) AS day, toUInt8(toHour(clicked_at) * 4 + intDiv(toMinute(clicked_at), 15)) AS quarter, visitor,
            identity(click_id) NOT IN -- identity: the index cannot help, and searching it takes longer
            (
                SELECT arrayJoin(arrayFold(
                    (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                    arraySort(groupArray((clicked_at, click_id))),
                    (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
                FROM clicks FINAL
                ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
                WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at >= first - toIntervalDay(1) AND clicked_at < next
                GROUP BY arrival
                HAVING count() > 1
            ) AS counts,
            arrayConcat(
                if(has({dimensions:Array(String)}, ''), [('', toString(''))], []),
                if(has({dimensions:Array(String)}, 'program'), [('program', toString(program_id))], []),
                if(has({dimensions:Array(String)}, 'affiliate'), [('affiliate', toString(affiliate_id))], []),
                if(has({dimensions:Array(String)}, 'link'), [('link', toString(link_id))], []),
                if(has({dimensions:Array(String)}, 'campaign'), [('campaign', toString(utm_campaign))], []),
                if(has({dimensions:Array(String)}, 'source'), [('source', toString(utm_source))], []),
                if(has({dimensions:Array(String)}, 'channel'), [('channel', toString(channel))], []),
                if(has({dimensions:Array(String)}, 'referrer'), [('referrer', toString(referrer_domain))], []),
                if(has({dimensions:Array(String)}, 'landing_page'), [('landing_page', toString(concat(host, path)))], []),
                if(has({dimensions:Array(String)}, 'country'), [('country', toString(country))], []),
                if(has({dimensions:Array(String)}, 'device'), [('device', toString(device))], []),
                if(has({dimensions:Array(String)}, 'browser'), [('browser', toString(browser))], []),
                if(has({dimensions:Array(String)}, 'affiliate_link_campaign'), [('affiliate_link_campaign', toString(concat(affiliate_id, '\n', link_id, '\n', utm_campaign)))], []))::Array(Tuple(String, String)) AS names,
            (toDateTime(clicked_at, 'UTC'), sipHash64(visitor), program_id, affiliate_id::LowCardinality(String), link_id::LowCardinality(String), utm_source, utm_medium, utm_campaign, channel, country, device)
                ::Tuple(at DateTime('UTC'), visitor UInt64, program LowCardinality(String), affiliate LowCardinality(String), link LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String), channel LowCardinality(String), country LowCardinality(String), device LowCardinality(String)) AS click
        FROM clicks FINAL
        WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at >= first AND clicked_at < next AND has(open, toDate(clicked_at))
        UNION ALL
        SELECT
            false, toDate(viewed_at), toUInt8(toHour(viewed_at) * 4 + intDiv(toMinute(viewed_at), 15)), visitor,
            false,
            arrayConcat(
                if(has({dimensions:Array(String)}, ''), [('', toString(''))], []),
                if(has({dimensions:Array(String)}, 'program'), [('program', toString(program_id))], []),
                if(has({dimensions:Array(String)}, 'affiliate'), [('affiliate', toString(''))], []),
                if(has({dimensions:Array(String)}, 'link'), [('link', toString(link_id))], []),
                if(has({dimensions:Array(String)}, 'campaign'), [('campaign', toString(''))], []),
                if(has({dimensions:Array(String)}, 'source'), [('source', toString(''))], []),
                if(has({dimensions:Array(String)}, 'channel'), [('channel', toString(channel))], []),
                if(has({dimensions:Array(String)}, 'referrer'), [('referrer', toString(referrer_domain))], []),
                if(has({dimensions:Array(String)}, 'landing_page'), [('landing_page', toString(concat(host, path)))], []),
                if(has({dimensions:Array(String)}, 'country'), [('country', toString(country))], []),
                if(has({dimensions:Array(String)}, 'device'), [('device', toString(device))], []),
                if(has({dimensions:Array(String)}, 'browser'), [('browser', toString(browser))], []),
                if(has({dimensions:Array(String)}, 'affiliate_link_campaign'), [('affiliate_link_campaign', toString(concat('\n', link_id, '\n')))], []))::Array(Tuple(String, String)),
            (toDateTime(viewed_at, 'UTC'), 0, '', '', '', '', '', '', '', '', '')::Tuple(at DateTime('UTC'), visitor UInt64, program LowCardinality(String), affiliate LowCardinality(String), link LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String), channel LowCardinality(String), country LowCardinality(String), device LowCardinality(String))
        FROM page_views FINAL
        WHERE workspace = {workspace:String} AND page_view_id >= looked_up.4 AND page_view_id <= looked_up.5 AND NOT is_bot AND viewed_at >= first AND viewed_at < next AND has(open, toDate(viewed_at))
    )
    ARRAY JOIN names AS name
    GROUP BY dimension, value, day
    UNION ALL
    SELECT dimension, value, day, clicks, page_views, visitors, clicks_at, page_views_at, counted
    FROM clicks_by_day FINAL
    WHERE {stored:Bool} AND workspace = {workspace:String} AND dimension IN {dimensions:Array(String)}
        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day)
)
COMMENT 'Clicks that count, page views and visitors by dimension, value and UTC day; parameters: workspace, from, to, dimensions, stored';

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
        -- what all before it have. An entry that names no product is one part.
        arrayJoin(if({dimension:String} != 'product' AND NOT mapContains({only:Map(String, Array(String))}, 'product')
            AND NOT mapContains({without:Map(String, Array(String))}, 'product') OR empty(e.products), [('', whole)],
            arrayMap((product, upto, own) -> (toString(product), CAST(
                toDecimal256(whole, 6) * upto / arraySum(e.product_net)
                - toDecimal256(whole, 6) * (upto - own) / arraySum(e.product_net), 'Nullable(Decimal(38, 6))')),
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
