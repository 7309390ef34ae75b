-- +goose Up
-- The rollups of clicks and page views by day. A rollup that a view adds to with each insert counts a click twice that is inserted twice,
-- or has to keep every id; and costs more than the insert. So the views only note which days changed, and the processor computes a
-- day's rows again from clicks and page_views once it has been quiet for a minute (package rollup). Until then the day is read from clicks
-- themselves (clicks_by_dimension), so that a figure is right at once, and never depends on how often a click arrived.

-- Who came, and by which link. visitor_link is of twelve columns, and stored, because reading them is half of what
-- today's clicks cost. Its expression does not use visitor: a mutation of visitor_id, as by an erasure, could not compute it again.
ALTER TABLE clicks
    ADD COLUMN IF NOT EXISTS visitor String ALIAS if(visitor_id != '', visitor_id, hex(identity_hash)) COMMENT 'Who came: visitor_id, else identity_hash; all browsers without consent are one visitor. Computed when it is read',
    ADD COLUMN IF NOT EXISTS visitor_link UInt64 MATERIALIZED if(visitor_id = '' AND identity_hash = toFixedString('', 8),
        sipHash64(click_id),
        sipHash64(if(visitor_id != '', visitor_id, hex(identity_hash)), program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id,
            if(concat(affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id) = '', concat(host, path), '')))
        COMMENT 'Hash of who followed which link: of visitor and of program_id, affiliate_id, link_id, the utm_ columns and ad_click_id; of a link that has none of these, host and path. Without a visitor a hash of click_id, so that each such click counts';
ALTER TABLE clicks MATERIALIZE COLUMN visitor_link; -- in the background: until then it is computed when it is read

ALTER TABLE page_views
    ADD COLUMN IF NOT EXISTS visitor String ALIAS if(visitor_id != '', visitor_id, hex(identity_hash)) COMMENT 'As in clicks';

-- Both tables are sorted by id, and ids by time, nearly. So the time of few granules lies within any range, and these are read.
ALTER TABLE clicks ADD INDEX IF NOT EXISTS by_time clicked_at TYPE minmax GRANULARITY 1;
ALTER TABLE clicks MATERIALIZE INDEX by_time SETTINGS mutations_sync = 2;
ALTER TABLE page_views ADD INDEX IF NOT EXISTS by_time viewed_at TYPE minmax GRANULARITY 1;
ALTER TABLE page_views MATERIALIZE INDEX by_time SETTINGS mutations_sync = 2;

CREATE TABLE IF NOT EXISTS click_days
(
    workspace   LowCardinality(String) COMMENT 'As in clicks',
    day         Date COMMENT 'UTC day of clicked_at or viewed_at',
    changed_at  SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When a click or page view of this day was last inserted. Read with max',
    computed_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When the computation of the rows in clicks_by_day began; 1970 before the first. Read with max',
    last_click_received     SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Latest received_at of its clicks, bots left out; 1970: none. Read with max',
    last_page_view_received SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'The same of its page views'
)
ENGINE = AggregatingMergeTree
ORDER BY (workspace, day)
COMMENT 'Which days clicks_by_day holds: those whose computed_at is more than a minute after their changed_at';

CREATE MATERIALIZED VIEW IF NOT EXISTS click_days_mv TO click_days AS
SELECT workspace, toDate(clicked_at) AS day, now64(3, 'UTC') AS changed_at, maxIf(received_at, NOT is_bot) AS last_click_received
FROM clicks
GROUP BY workspace, day;

CREATE MATERIALIZED VIEW IF NOT EXISTS click_days_of_page_views_mv TO click_days AS
SELECT workspace, toDate(viewed_at) AS day, now64(3, 'UTC') AS changed_at, maxIf(received_at, NOT is_bot) AS last_page_view_received
FROM page_views
GROUP BY workspace, day;

CREATE TABLE IF NOT EXISTS clicks_by_day
(
    workspace     LowCardinality(String) COMMENT 'As in clicks',
    dimension     LowCardinality(String) COMMENT 'What value is: program, affiliate, link, campaign, source, channel, referrer, landing_page, country, device, browser or affiliate_link_campaign; empty: everything together',
    value         String COMMENT 'As the column of clicks; of landing_page host and path, of affiliate_link_campaign the three with line feeds between. Empty: none or unknown',
    day           Date COMMENT 'UTC day',
    clicks        UInt64 COMMENT 'Clicks that count: bots and repeated clicks are left out',
    page_views    UInt64 COMMENT 'Page views, bots left out; those of affiliate, campaign and source are under the empty value, for a page view has none',
    visitors      AggregateFunction(uniq, String) COMMENT 'Who came with a click, also a repeated one, or a page view; bots left out. Read with uniqMerge: exact up to 65,536 visitors, above by about 0.4 %',
    clicks_at     Map(UInt8, UInt64) COMMENT 'Clicks by quarter of an hour, 0 to 95, quarters without one left out: days in any time zone are sums of these',
    page_views_at Map(UInt8, UInt64) COMMENT 'Page views in the same way',
    computed_at   DateTime64(3, 'UTC') COMMENT 'When it was computed; the latest stands'
)
ENGINE = ReplacingMergeTree(computed_at)
PARTITION BY toYYYYMM(day)
ORDER BY (workspace, dimension, value, day)
COMMENT 'Clicks, page views and visitors by day and dimension. Read it through clicks_by_dimension, which adds the days that it does not hold';

-- What these replace. Its views go first: an insert must not meet a view without its table.
DROP TABLE IF EXISTS clicks_hourly_mv SYNC;
DROP TABLE IF EXISTS clicks_minutely_mv SYNC;
DROP TABLE IF EXISTS clicks_by_visitor_mv SYNC;
DROP TABLE IF EXISTS page_views_hourly_mv SYNC;
DROP TABLE IF EXISTS clicks_hourly SYNC;
DROP TABLE IF EXISTS clicks_minutely SYNC;
DROP TABLE IF EXISTS clicks_by_visitor SYNC;
DROP TABLE IF EXISTS page_views_hourly SYNC;

-- The days of what was stored before: the processor computes them.
INSERT INTO click_days (workspace, day, changed_at, last_click_received)
SELECT workspace, toDate(clicked_at) AS day, now64(3, 'UTC'), maxIf(received_at, NOT is_bot) FROM clicks GROUP BY workspace, day;
INSERT INTO click_days (workspace, day, changed_at, last_page_view_received)
SELECT workspace, toDate(viewed_at) AS day, now64(3, 'UTC'), maxIf(received_at, NOT is_bot) FROM page_views GROUP BY workspace, day;

-- A click counts unless one that counts, of the same visitor and link, precedes it by at most an hour. arrayFold walks through the clicks
-- of one visitor and link, of those that have several, and collects the repeated ones. The day before from is read too: a pause of
-- more than an hour ends what came before, so the answer is the same as with the whole past, unless somebody followed one link for a
-- whole day without such a pause.
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
        WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} - toIntervalDay(1) AND clicked_at < {to:DateTime('UTC')}
        GROUP BY visitor_link
        HAVING count() > 1
    );

-- What dashboards read: the days that clicks_by_day holds, and the others (open) counted from clicks and page_views. open is every day if
-- stored is false; else those that the range cuts, and those that clicks_by_day does not hold (yet).
--
-- One statement, for the engine analyses a view within a view several times, which took longer than reading. open is looked up once,
-- though it is written twice: the engine keeps what a subquery gave. And it is looked up before the parts of clicks_by_day are chosen,
-- because clicks come first: a day that is computed meanwhile is read from clicks, and not from rows that were not there yet.
-- The ifs are decided before reading, so that columns which only other dimensions need are not read.
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
    greatest({from:DateTime('UTC')}, toDateTime(arrayMin(open), 'UTC')) AS first,
    least({to:DateTime('UTC')}, toDateTime(arrayMax(open), 'UTC') + toIntervalDay(1)) AS next
SELECT
    name.1 AS dimension, name.2 AS value, day,
    countIf(is_click AND counts) AS clicks,
    countIf(NOT is_click) AS page_views,
    uniqState(visitor) AS visitors,
    sumMapIf(map(quarter, toUInt64(1)), is_click AND counts) AS clicks_at,
    sumMapIf(map(quarter, toUInt64(1)), NOT is_click) AS page_views_at
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
            WHERE workspace = {workspace:String} AND NOT is_bot AND clicked_at >= first - toIntervalDay(1) AND clicked_at < next
            GROUP BY visitor_link
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
            if(has({dimensions:Array(String)}, 'affiliate_link_campaign'), [('affiliate_link_campaign', toString(concat(affiliate_id, '\n', link_id, '\n', utm_campaign)))], []))::Array(Tuple(String, String)) AS names
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
            if(has({dimensions:Array(String)}, 'affiliate_link_campaign'), [('affiliate_link_campaign', toString(concat('\n', link_id, '\n')))], []))::Array(Tuple(String, String)) AS names
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
SELECT dimension, value, day, clicks, page_views, visitors, clicks_at, page_views_at
FROM clicks_by_day FINAL
WHERE {stored:Bool} AND workspace = {workspace:String} AND dimension IN {dimensions:Array(String)}
    AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day);

-- The names that dashboards already have. Both hold what clicks_by_day holds: a day that is still changing is at most a quarter of an hour
-- behind; clicks_by_dimension is not.
CREATE OR REPLACE VIEW clicks_daily
(
    workspace    LowCardinality(String) COMMENT 'As in clicks',
    day          Date COMMENT 'UTC day',
    affiliate_id String COMMENT 'As in clicks; empty: none',
    link_id      String COMMENT 'As in clicks; empty: none',
    utm_campaign String COMMENT 'As in clicks; empty: none',
    clicks       UInt64 COMMENT 'Clicks that count: bots and repeated clicks are left out'
)
AS SELECT workspace, day, splitByChar('\n', value)[1] AS affiliate_id, splitByChar('\n', value)[2] AS link_id, splitByChar('\n', value)[3] AS utm_campaign, clicks
FROM clicks_by_day FINAL
WHERE dimension = 'affiliate_link_campaign' AND clicks > 0;

CREATE OR REPLACE VIEW clicks_hourly
(
    workspace    LowCardinality(String) COMMENT 'As in clicks',
    hour         DateTime('UTC') COMMENT 'Hour of the clicks',
    affiliate_id String COMMENT 'As in clicks; empty: none',
    link_id      String COMMENT 'As in clicks; empty: none',
    utm_campaign String COMMENT 'As in clicks; empty: none',
    clicks       UInt64 COMMENT 'Clicks that count: bots and repeated clicks are left out'
)
AS SELECT workspace, toDateTime(day, 'UTC') + toIntervalHour(intDiv(quarter, 4)) AS hour,
    splitByChar('\n', value)[1] AS affiliate_id, splitByChar('\n', value)[2] AS link_id, splitByChar('\n', value)[3] AS utm_campaign, sum(number) AS clicks
FROM clicks_by_day FINAL
ARRAY JOIN mapKeys(clicks_at) AS quarter, mapValues(clicks_at) AS number
WHERE dimension = 'affiliate_link_campaign'
GROUP BY workspace, hour, affiliate_id, link_id, utm_campaign;

CREATE OR REPLACE VIEW page_views_hourly
(
    workspace  LowCardinality(String) COMMENT 'As in page_views',
    hour       DateTime('UTC') COMMENT 'Hour of the page views',
    page_views UInt64 COMMENT 'Page views, bots left out'
)
AS SELECT workspace, toDateTime(day, 'UTC') + toIntervalHour(intDiv(quarter, 4)) AS hour, sum(number) AS page_views
FROM clicks_by_day FINAL
ARRAY JOIN mapKeys(page_views_at) AS quarter, mapValues(page_views_at) AS number
WHERE dimension = ''
GROUP BY workspace, hour;
