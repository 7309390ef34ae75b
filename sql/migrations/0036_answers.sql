-- +goose Up
-- The day before 1970-01-01 is no DateTime: a question that begins there found no earlier clicks, and counted repeated ones.
CREATE OR REPLACE VIEW clicks_counted AS
SELECT
    click_id, clicked_at, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, referrer_domain,
    concat(host, path) AS landing_page, country, device, browser, visitor
FROM clicks FINAL
WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}
    AND click_id NOT IN
    (
        SELECT arrayJoin(arrayFold(
            (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
            arraySort(groupArray((clicked_at, click_id))),
            (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
        FROM clicks FINAL
        ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
        WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(1) AND clicked_at < {to:DateTime('UTC')}
        GROUP BY arrival
        HAVING count() > 1
    )
COMMENT 'Clicks that count, each with its columns; parameters: workspace, from, to';

CREATE OR REPLACE VIEW clicks_by_dimension AS
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
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1)
                    OR toDateTime(day, 'UTC') < {from:DateTime('UTC')} OR toDateTime(day, 'UTC') + toIntervalDay(1) > {to:DateTime('UTC')}
            )
        ),
        arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1))) AS open,
    greatest(toDateTime64({from:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMin(open), 3, 'UTC')) AS first,
    least(toDateTime64({to:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMax(open), 3, 'UTC') + toIntervalDay(1)) AS next
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
        click_id NOT IN
        (
            SELECT arrayJoin(arrayFold(
                (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                arraySort(groupArray((clicked_at, click_id))),
                (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
            FROM clicks FINAL
            ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
            WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= first - toIntervalDay(1) AND clicked_at < next
            GROUP BY arrival
            HAVING count() > 1
        ) AS counts,
        arrayConcat(
            if(has({dimensions:Array(String)}, ''), [('', '')], []),
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
    WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= first AND clicked_at < next AND (NOT {stored:Bool} OR has(open, toDate(clicked_at)))
    UNION ALL
    SELECT
        false, toDate(viewed_at), toUInt8(toHour(viewed_at) * 4 + intDiv(toMinute(viewed_at), 15)), visitor,
        false,
        arrayConcat(
            if(has({dimensions:Array(String)}, ''), [('', '')], []),
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
            if(has({dimensions:Array(String)}, 'affiliate_link_campaign'), [('affiliate_link_campaign', toString(concat('\n', link_id, '\n')))], []))::Array(Tuple(String, String)) AS names,
        (toDateTime(viewed_at, 'UTC'), 0, '', '', '', '', '', '', '', '', '')::Tuple(at DateTime('UTC'), visitor UInt64, program LowCardinality(String), affiliate LowCardinality(String), link LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String), channel LowCardinality(String), country LowCardinality(String), device LowCardinality(String))
    FROM page_views FINAL
    WHERE workspace = {workspace:String} AND NOT is_bot AND viewed_at >= first AND viewed_at < next AND (NOT {stored:Bool} OR has(open, toDate(viewed_at)))
)
ARRAY JOIN names AS name
GROUP BY dimension, value, day
UNION ALL
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
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1)
                    OR toDateTime(day, 'UTC') < {from:DateTime('UTC')} OR toDateTime(day, 'UTC') + toIntervalDay(1) > {to:DateTime('UTC')}
            )
        ),
        arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1))) AS open
SELECT dimension, value, day, clicks, page_views, visitors, clicks_at, page_views_at, counted
FROM clicks_by_day FINAL
WHERE {stored:Bool} AND workspace = {workspace:String} AND dimension IN {dimensions:Array(String)}
    AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day)
COMMENT 'Clicks that count, page views and visitors by dimension, value and UTC day; parameters: workspace, from, to, dimensions, stored';

-- What the server shows of a view to who lists the tables.
ALTER TABLE affiliates MODIFY COMMENT 'Each affiliate with clicks, leads, sales and live money of all time; clicks as in clicks_daily';
ALTER TABLE channels MODIFY COMMENT 'Each channel with clicks, sales and live money of all time; clicks as in clicks_daily';
ALTER TABLE click_days_mv MODIFY COMMENT 'With each insert of clicks it notes in click_days which days changed';
ALTER TABLE click_days_of_page_views_mv MODIFY COMMENT 'With each insert of page views it notes in click_days which days changed';
ALTER TABLE clicks_daily MODIFY COMMENT 'Clicks that count by day, affiliate, link and campaign; a day that still changes is behind by up to a quarter of an hour';
ALTER TABLE clicks_hourly MODIFY COMMENT 'Clicks that count by hour, affiliate, link and campaign; a day that still changes is behind by up to a quarter of an hour';
ALTER TABLE customers MODIFY COMMENT 'Each buyer with first touch, orders and lifetime value; guests are left out';
ALTER TABLE leads_attributed_mv MODIFY COMMENT 'Fills leads_attributed with the leads whose credit is decided';
ALTER TABLE ledger_log_mv MODIFY COMMENT 'Fills ledger_log with every version of the ledger';
ALTER TABLE ledger_written_mv MODIFY COMMENT 'Fills ledger_written with the time at which a version was written';
ALTER TABLE links MODIFY COMMENT 'Each link with clicks, leads, sales and live money of all time; clicks as in clicks_daily';
ALTER TABLE page_views_hourly MODIFY COMMENT 'Page views by hour; a day that still changes is behind by up to a quarter of an hour';
ALTER TABLE revenue_days_mv MODIFY COMMENT 'Fills revenue_days with the day of each entry';
ALTER TABLE revenue_mv MODIFY COMMENT 'Fills revenue, the ledger\'s copy for dashboards';
ALTER TABLE sales MODIFY COMMENT 'Each sale, with what was refunded and disputed of it, and why it is credited so';
