CREATE VIEW clicks_by_dimension
COMMENT 'Clicks that count, page views and visitors by dimension, value and UTC day; parameters: workspace, from, to, dimensions, stored'
AS WITH
    if({stored:Bool}, (
        SELECT (groupArray(day), min(least_click), max(greatest_click), min(least_page_view), max(greatest_page_view))
        FROM
        (
            SELECT
                day,
                min(first_click) AS least_click,
                max(last_click) AS greatest_click,
                min(first_page_view) AS least_page_view,
                max(last_page_view) AS greatest_page_view
            FROM click_days
            WHERE (workspace = {workspace:String}) AND (day >= toDate({from:DateTime('UTC')})) AND (day <= toDate({to:DateTime('UTC')} - 1))
            GROUP BY day
            HAVING (max(computed_at) <= (max(changed_at) + toIntervalMinute(1))) OR (toDateTime(day, 'UTC') < {from:DateTime('UTC')}) OR ((toDateTime(day, 'UTC') + toIntervalDay(1)) > {to:DateTime('UTC')})
        )
    ), tupleConcat((
        SELECT (arrayMap(n -> (toDate({from:DateTime('UTC')}) + n), range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1)), min(click_id), max(click_id))
        FROM clicks
        WHERE (NOT {stored:Bool}) AND (workspace = {workspace:String}) AND (clicked_at >= (toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(2))) AND (clicked_at < {to:DateTime('UTC')})
    ), (
        SELECT (min(page_view_id), max(page_view_id))
        FROM page_views
        WHERE (NOT {stored:Bool}) AND (workspace = {workspace:String}) AND (viewed_at >= {from:DateTime('UTC')}) AND (viewed_at < {to:DateTime('UTC')})
    ))) AS looked_up,
    looked_up.1 AS open,
    greatest(toDateTime64({from:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMin(open), 3, 'UTC')) AS first,
    least(toDateTime64({to:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMax(open), 3, 'UTC') + toIntervalDay(1)) AS next
SELECT
    dimension,
    value,
    day,
    clicks,
    page_views,
    visitors,
    clicks_at,
    page_views_at,
    counted
FROM
(
    SELECT
        name.1 AS dimension,
        name.2 AS value,
        day,
        countIf(is_click AND counts) AS clicks,
        countIf(NOT is_click) AS page_views,
        uniqState(visitor) AS visitors,
        sumMapIf(map(quarter, toUInt64(1)), is_click AND counts) AS clicks_at,
        sumMapIf(map(quarter, toUInt64(1)), NOT is_click) AS page_views_at,
        arraySort(groupArrayIf(click, is_click AND counts AND ((name.1) = ''))) AS counted
    FROM
    (
        SELECT
            true AS is_click,
            toDate(clicked_at) AS day,
            toUInt8((toHour(clicked_at) * 4) + intDiv(toMinute(clicked_at), 15)) AS quarter,
            visitor,
            identity(click_id) NOT IN (
                SELECT arrayJoin((arrayFold((known, click) -> if((click.1) > ((known.1) + toIntervalHour(1)), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))), arraySort(groupArray((clicked_at, click_id))), (toDateTime64(0, 3, 'UTC'), CAST('[]', 'Array(FixedString(16))')))).2)
                FROM clicks
                FINAL
                ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
                WHERE (workspace = {workspace:String}) AND (click_id >= (looked_up.2)) AND (click_id <= (looked_up.3)) AND (NOT is_bot) AND (clicked_at >= (first - toIntervalDay(1))) AND (clicked_at < next)
                GROUP BY arrival
                HAVING count() > 1
            ) AS counts,
            CAST(arrayConcat(if(has({dimensions:Array(String)}, ''), [('', toString(''))], []), if(has({dimensions:Array(String)}, 'program'), [('program', toString(program_id))], []), if(has({dimensions:Array(String)}, 'affiliate'), [('affiliate', toString(affiliate_id))], []), if(has({dimensions:Array(String)}, 'link'), [('link', toString(link_id))], []), if(has({dimensions:Array(String)}, 'campaign'), [('campaign', toString(utm_campaign))], []), if(has({dimensions:Array(String)}, 'source'), [('source', toString(utm_source))], []), if(has({dimensions:Array(String)}, 'channel'), [('channel', toString(channel))], []), if(has({dimensions:Array(String)}, 'referrer'), [('referrer', toString(referrer_domain))], []), if(has({dimensions:Array(String)}, 'landing_page'), [('landing_page', toString(concat(host, path)))], []), if(has({dimensions:Array(String)}, 'country'), [('country', toString(country))], []), if(has({dimensions:Array(String)}, 'device'), [('device', toString(device))], []), if(has({dimensions:Array(String)}, 'browser'), [('browser', toString(browser))], []), if(has({dimensions:Array(String)}, 'affiliate_link_campaign'), [('affiliate_link_campaign', toString(concat(affiliate_id, '\n', link_id, '\n', utm_campaign)))], [])), 'Array(Tuple(String, String))') AS names,
            CAST((toDateTime(clicked_at, 'UTC'), sipHash64(visitor), program_id, CAST(affiliate_id, 'LowCardinality(String)'), CAST(link_id, 'LowCardinality(String)'), utm_source, utm_medium, utm_campaign, channel, country, device), 'Tuple(at DateTime(\'UTC\'), visitor UInt64, program LowCardinality(String), affiliate LowCardinality(String), link LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String), channel LowCardinality(String), country LowCardinality(String), device LowCardinality(String))') AS click
        FROM clicks
        FINAL
        WHERE (workspace = {workspace:String}) AND (click_id >= (looked_up.2)) AND (click_id <= (looked_up.3)) AND (NOT is_bot) AND (clicked_at >= first) AND (clicked_at < next) AND has(open, toDate(clicked_at))
        UNION ALL
        SELECT
            false,
            toDate(viewed_at),
            toUInt8((toHour(viewed_at) * 4) + intDiv(toMinute(viewed_at), 15)),
            visitor,
            false,
            CAST(arrayConcat(if(has({dimensions:Array(String)}, ''), [('', toString(''))], []), if(has({dimensions:Array(String)}, 'program'), [('program', toString(program_id))], []), if(has({dimensions:Array(String)}, 'affiliate'), [('affiliate', toString(''))], []), if(has({dimensions:Array(String)}, 'link'), [('link', toString(link_id))], []), if(has({dimensions:Array(String)}, 'campaign'), [('campaign', toString(''))], []), if(has({dimensions:Array(String)}, 'source'), [('source', toString(''))], []), if(has({dimensions:Array(String)}, 'channel'), [('channel', toString(channel))], []), if(has({dimensions:Array(String)}, 'referrer'), [('referrer', toString(referrer_domain))], []), if(has({dimensions:Array(String)}, 'landing_page'), [('landing_page', toString(concat(host, path)))], []), if(has({dimensions:Array(String)}, 'country'), [('country', toString(country))], []), if(has({dimensions:Array(String)}, 'device'), [('device', toString(device))], []), if(has({dimensions:Array(String)}, 'browser'), [('browser', toString(browser))], []), if(has({dimensions:Array(String)}, 'affiliate_link_campaign'), [('affiliate_link_campaign', toString(concat('\n', link_id, '\n')))], [])), 'Array(Tuple(String, String))'),
            CAST((toDateTime(viewed_at, 'UTC'), 0, '', '', '', '', '', '', '', '', ''), 'Tuple(at DateTime(\'UTC\'), visitor UInt64, program LowCardinality(String), affiliate LowCardinality(String), link LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String), channel LowCardinality(String), country LowCardinality(String), device LowCardinality(String))')
        FROM page_views
        FINAL
        WHERE (workspace = {workspace:String}) AND (page_view_id >= (looked_up.4)) AND (page_view_id <= (looked_up.5)) AND (NOT is_bot) AND (viewed_at >= first) AND (viewed_at < next) AND has(open, toDate(viewed_at))
    )
    ARRAY JOIN names AS name
    GROUP BY
        dimension,
        value,
        day
    UNION ALL
    SELECT
        dimension,
        value,
        day,
        clicks,
        page_views,
        visitors,
        clicks_at,
        page_views_at,
        counted
    FROM clicks_by_day
    FINAL
    WHERE {stored:Bool} AND (workspace = {workspace:String}) AND (dimension IN ({dimensions:Array(String)})) AND (day >= toDate({from:DateTime('UTC')})) AND (day <= toDate({to:DateTime('UTC')} - 1)) AND (NOT has(open, day))
);
