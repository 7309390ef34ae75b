-- +goose Up
-- A page view is no click: it is stored here, never in clicks, and has no column for an affiliate or for the site's own click id, because
-- it can neither be credited nor stand for a click.
CREATE TABLE IF NOT EXISTS page_views
(
    workspace       LowCardinality(String) COMMENT 'Owner of the publishable key that the beacon carried',
    page_view_id    FixedString(16) COMMENT 'UUIDv7, big-endian; UUIDNumToString(page_view_id) renders it',
    viewed_at       DateTime64(3, 'UTC') COMMENT 'When the page was shown, clamped by the edge to 30 days before and 5 minutes after receipt',
    received_at     DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    program_id      LowCardinality(String) COMMENT 'Affiliate programme of the site; empty if none',
    link_id         String COMMENT 'Of a Dub or PiMMs script, domain/_root; else empty',
    visitor_id      String COMMENT 'The browser''s own id; empty without consent',
    identity_hash   FixedString(8) COMMENT 'Keyed hash of address, agent and host that rotates daily; zero without consent. Stands in for visitor_id',
    url             String COMMENT 'The page as the beacon gave it. A parameter in it that names an affiliate, for example ?via=, names nobody here',
    host            LowCardinality(String) COMMENT 'Host of url, lower case',
    path            String COMMENT 'Path of url, without query',
    referrer        String COMMENT 'Full referrer; empty if none',
    referrer_domain LowCardinality(String) COMMENT 'Host of the referrer without www.; empty if none or the site itself',
    channel         LowCardinality(String) COMMENT 'As in clicks',
    country         LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2, upper case; empty if unknown',
    region          LowCardinality(String) COMMENT 'As the trusted proxy named it; empty if unknown',
    city            LowCardinality(String) COMMENT 'As the trusted proxy named it; empty if unknown',
    browser         LowCardinality(String) COMMENT 'Family by the user agent; empty if unknown',
    browser_version LowCardinality(String) COMMENT 'Major version; empty if unknown',
    os              LowCardinality(String) COMMENT 'Operating system by the user agent; empty if unknown',
    os_version      LowCardinality(String) COMMENT 'Its version; empty if unknown',
    device          LowCardinality(String) COMMENT 'desktop, mobile, tablet, bot or other',
    user_agent      String COMMENT 'As sent',
    is_bot          Bool COMMENT 'Flagged, never dropped; page_views_hourly leaves it out',
    bot_reason      LowCardinality(String) COMMENT 'Which rule flagged it; empty if none did',
    consent         LowCardinality(String) COMMENT 'granted, denied, or empty when not said',
    properties      Map(LowCardinality(String), String) COMMENT 'The site''s own values, at most 16',
    version         UInt64 COMMENT 'Inverse of received_at: the first page view received under an id wins for ever'
)
ENGINE = ReplacingMergeTree(version)
-- The month comes from the id itself, as in clicks: two rows of one id must meet in one partition.
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(page_view_id, 1, 6))), 'UTC'))
ORDER BY (workspace, page_view_id)
COMMENT 'Every page view, one row an id: a page that was shown without an arrival by a link. Never credited';

CREATE TABLE IF NOT EXISTS page_views_hourly
(
    workspace  LowCardinality(String) COMMENT 'As in page_views',
    hour       DateTime('UTC') COMMENT 'Hour of viewed_at',
    page_views AggregateFunction(uniqCombined64, FixedString(16)) COMMENT 'Page view ids, bots left out. Read with uniqCombined64Merge',
    visitors   AggregateFunction(uniqCombined64, String) COMMENT 'visitor_id, else identity_hash, bots left out. Read with uniqCombined64Merge, together with the visitors of clicks_hourly'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour)
COMMENT 'Page views by hour, for dashboards';

CREATE MATERIALIZED VIEW IF NOT EXISTS page_views_hourly_mv TO page_views_hourly AS
SELECT
    workspace,
    toStartOfHour(toDateTime(viewed_at, 'UTC')) AS hour,
    uniqCombined64State(page_view_id) AS page_views,
    uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors
FROM page_views
WHERE NOT is_bot
GROUP BY workspace, hour;

-- A click that a visitor repeats within an hour is the same click. Whether a click repeats another one is not known when it is stored: an
-- earlier click may arrive later. So the times are kept, and clicks_counted decides when it is read.
CREATE TABLE IF NOT EXISTS clicks_by_visitor
(
    workspace    LowCardinality(String) COMMENT 'As in clicks',
    hour         DateTime('UTC') COMMENT 'Hour of clicked_at',
    visitor_link UInt64 COMMENT 'Hash of who followed which link: of visitor_id (else identity_hash) and of program_id, affiliate_id, link_id, the utm_ columns and ad_click_id; of a link that has none of these, host and path. Without a visitor it is a hash of click_id, so that each such click counts',
    clicked_at   DateTime64(3, 'UTC') COMMENT 'As in clicks',
    affiliate_id String COMMENT 'As in clicks',
    link_id      String COMMENT 'As in clicks',
    utm_campaign LowCardinality(String) COMMENT 'As in clicks'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour, visitor_link, clicked_at, affiliate_id, link_id, utm_campaign)
COMMENT 'When each visitor followed each link, bots left out. Read it through clicks_counted';

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_visitor_mv TO clicks_by_visitor AS
SELECT
    workspace,
    toStartOfHour(toDateTime(clicked_at, 'UTC')) AS hour,
    if(visitor_id = '' AND identity_hash = toFixedString('', 8),
        sipHash64(click_id),
        sipHash64(if(visitor_id != '', visitor_id, hex(identity_hash)), program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id,
            if(concat(affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id) = '', concat(host, path), ''))) AS visitor_link,
    clicked_at,
    affiliate_id,
    link_id,
    utm_campaign
FROM clicks
WHERE NOT is_bot;

-- A click counts unless one that counts precedes it by at most an hour. arrayFold walks through the times of one visitor and link; most have
-- no two times within an hour, and are left as they are. The day before from is read too: a pause of more than an hour ends what came
-- before, so the answer is the same as with the whole past, unless somebody followed one link for a whole day without such a pause.
CREATE OR REPLACE VIEW clicks_counted AS
SELECT affiliate_id, link_id, utm_campaign, fromUnixTimestamp64Milli(counted, 'UTC') AS clicked_at
FROM
(
    SELECT
        any(affiliate_id) AS affiliate_id, any(link_id) AS link_id, any(utm_campaign) AS utm_campaign,
        arraySort(groupUniqArray(toUnixTimestamp64Milli(clicked_at))) AS times,
        if(arrayExists((gap, place) -> place > 1 AND gap <= 3600000, arrayDifference(times), arrayEnumerate(times)),
            arrayFold((chosen, at) -> if(empty(chosen) OR at > chosen[-1] + 3600000, arrayPushBack(chosen, at), chosen), times, emptyArrayInt64()),
            times) AS counting
    FROM clicks_by_visitor
    WHERE workspace = {workspace:String} AND hour >= {from:DateTime('UTC')} - toIntervalDay(1) AND hour < {to:DateTime('UTC')}
    GROUP BY visitor_link
)
ARRAY JOIN counting AS counted
WHERE counted >= toUnixTimestamp({from:DateTime('UTC')}) * 1000;

CREATE OR REPLACE VIEW clicks_daily AS
SELECT workspace, toDate(fromUnixTimestamp64Milli(counted, 'UTC')) AS day, affiliate_id, link_id, utm_campaign, count() AS clicks
FROM
(
    SELECT
        workspace, any(affiliate_id) AS affiliate_id, any(link_id) AS link_id, any(utm_campaign) AS utm_campaign,
        arraySort(groupUniqArray(toUnixTimestamp64Milli(clicked_at))) AS times,
        if(arrayExists((gap, place) -> place > 1 AND gap <= 3600000, arrayDifference(times), arrayEnumerate(times)),
            arrayFold((chosen, at) -> if(empty(chosen) OR at > chosen[-1] + 3600000, arrayPushBack(chosen, at), chosen), times, emptyArrayInt64()),
            times) AS counting
    FROM clicks_by_visitor
    GROUP BY workspace, visitor_link
)
ARRAY JOIN counting AS counted
GROUP BY workspace, day, affiliate_id, link_id, utm_campaign;

CREATE OR REPLACE VIEW funnel AS
SELECT
    workspace, day, affiliate_id, link_id, utm_campaign,
    sum(clicks) AS clicks, sum(leads) AS leads, sum(sales) AS sales, sum(net_usd) AS net_usd
FROM
(
    SELECT workspace, day, affiliate_id, link_id, utm_campaign, clicks, 0 AS leads, 0 AS sales, toDecimal128(0, 6) AS net_usd
    FROM clicks_daily
    UNION ALL
    SELECT workspace, toDate(received_at) AS day, affiliate_id, link_id, utm_campaign, 0, sum(quantity), 0, toDecimal128(0, 6)
    FROM people
    WHERE livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, day, affiliate_id, link_id, utm_campaign, 0, 0, uniqExactIf(sale_id, kind = 'payment'), toDecimal128(sum(coalesce(net_usd, 0)), 6)
    FROM revenue FINAL
    WHERE status = 'booked' AND amount != 0 AND livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
)
GROUP BY workspace, day, affiliate_id, link_id, utm_campaign;

-- What was stored before. Processors must be stopped meanwhile. Each statement may be executed again: rows are replaced by their key, the
-- rollups are sets of ids, and page views are deleted from clicks only after they are in page_views.
INSERT INTO page_views
SELECT
    workspace, click_id, clicked_at, received_at, program_id, link_id, visitor_id, identity_hash, url, host, path, referrer, referrer_domain,
    channel, country, region, city, browser, browser_version, os, os_version, device, user_agent, is_bot, bot_reason, consent, properties, version
FROM clicks FINAL
WHERE trigger = 'pageview'
SETTINGS max_partitions_per_insert_block = 0;

ALTER TABLE clicks DELETE WHERE trigger = 'pageview' SETTINGS mutations_sync = 2;
ALTER TABLE clicks MODIFY COLUMN trigger LowCardinality(String) COMMENT 'link, qr, deeplink or form; empty when not said. A pageview is in page_views';
ALTER TABLE clicks_hourly MODIFY COLUMN clicks AggregateFunction(uniqCombined64, FixedString(16)) COMMENT 'Click ids, bots left out; a click that repeats another within an hour is among them. Read with uniqCombined64Merge';

INSERT INTO clicks_by_visitor
SELECT
    workspace,
    toStartOfHour(toDateTime(clicked_at, 'UTC')),
    if(visitor_id = '' AND identity_hash = toFixedString('', 8),
        sipHash64(click_id),
        sipHash64(if(visitor_id != '', visitor_id, hex(identity_hash)), program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id,
            if(concat(affiliate_id, link_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, ad_click_id) = '', concat(host, path), ''))),
    clicked_at, affiliate_id, link_id, utm_campaign
FROM clicks FINAL
WHERE NOT is_bot
SETTINGS max_partitions_per_insert_block = 0;

-- The rollups of clicks are computed again without page views, beside the live ones, and exchanged in one step.
DROP TABLE IF EXISTS clicks_hourly_rebuilt SYNC;
CREATE TABLE clicks_hourly_rebuilt AS clicks_hourly;
INSERT INTO clicks_hourly_rebuilt
SELECT
    workspace, toStartOfHour(toDateTime(clicked_at, 'UTC')) AS hour, program_id, affiliate_id, link_id, utm_campaign, country,
    uniqCombined64State(click_id), uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash)))
FROM clicks FINAL
WHERE NOT is_bot
GROUP BY workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country
SETTINGS max_partitions_per_insert_block = 0;
EXCHANGE TABLES clicks_hourly_rebuilt AND clicks_hourly;
DROP TABLE clicks_hourly_rebuilt SYNC;

DROP TABLE IF EXISTS clicks_minutely_rebuilt SYNC;
CREATE TABLE clicks_minutely_rebuilt AS clicks_minutely;
INSERT INTO clicks_minutely_rebuilt
SELECT
    workspace, toStartOfMinute(toDateTime(clicked_at, 'UTC')) AS minute,
    uniqCombined64State(click_id), uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))), max(received_at)
FROM clicks FINAL
WHERE NOT is_bot
GROUP BY workspace, minute;
EXCHANGE TABLES clicks_minutely_rebuilt AND clicks_minutely;
DROP TABLE clicks_minutely_rebuilt SYNC;
