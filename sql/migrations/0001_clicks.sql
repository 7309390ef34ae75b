-- +goose Up
CREATE TABLE IF NOT EXISTS clicks
(
    workspace       LowCardinality(String) COMMENT 'Owner of the publishable key that the beacon carried',
    click_id        FixedString(16) COMMENT 'UUIDv7, big-endian; UUIDNumToString(click_id) renders it. FixedString, not UUID: a UUID column sorts by its second half and loses the order of time',
    clicked_at      DateTime64(3, 'UTC') COMMENT 'When the visitor clicked, clamped by the edge to 30 days before and 5 minutes after receipt',
    received_at     DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    foreign_id      String COMMENT 'The id that the site itself uses for this click; empty if it uses ours',
    program_id      LowCardinality(String) COMMENT 'Affiliate programme; empty if none',
    affiliate_id    String COMMENT 'Affiliate who is to be credited; empty if none',
    link_id         String COMMENT 'Link that was followed; empty if none',
    visitor_id      String COMMENT 'The browser''s own id; empty without consent',
    identity_hash   FixedString(8) COMMENT 'Keyed hash of address, agent and host that rotates daily; zero without consent. Stands in for visitor_id',
    url             String COMMENT 'Landing page as the beacon gave it',
    host            LowCardinality(String) COMMENT 'Host of url, lower case',
    path            String COMMENT 'Path of url, without query',
    referrer        String COMMENT 'Full referrer; empty if none',
    referrer_domain LowCardinality(String) COMMENT 'Host of the referrer without www.; empty if none or the site itself',
    utm_source      LowCardinality(String) COMMENT 'From url; empty if absent',
    utm_medium      LowCardinality(String) COMMENT 'From url; empty if absent',
    utm_campaign    LowCardinality(String) COMMENT 'From url; empty if absent',
    utm_term        String COMMENT 'From url; empty if absent',
    utm_content     String COMMENT 'From url; empty if absent',
    ad_network      LowCardinality(String) COMMENT 'google, meta, microsoft …, by the ad click parameter; empty if none',
    ad_click_id     String COMMENT 'gclid, fbclid, msclkid …; empty if none',
    channel         LowCardinality(String) COMMENT 'direct, organic_search, paid_search, organic_social, paid_social, email, affiliate, referral, ai, display or other',
    country         LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2, upper case; empty if unknown',
    region          LowCardinality(String) COMMENT 'As the trusted proxy named it; empty if unknown',
    city            LowCardinality(String) COMMENT 'As the trusted proxy named it; empty if unknown',
    browser         LowCardinality(String) COMMENT 'Family by the user agent; empty if unknown',
    browser_version LowCardinality(String) COMMENT 'Major version; empty if unknown',
    os              LowCardinality(String) COMMENT 'Operating system by the user agent; empty if unknown',
    os_version      LowCardinality(String) COMMENT 'Its version; empty if unknown',
    device          LowCardinality(String) COMMENT 'desktop, mobile, tablet, bot or other',
    user_agent      String COMMENT 'As sent',
    trigger         LowCardinality(String) COMMENT 'link, pageview, qr, deeplink or form',
    is_bot          Bool COMMENT 'Flagged, never dropped; dashboards leave it out',
    bot_reason      LowCardinality(String) COMMENT 'Which rule flagged it; empty if none did',
    consent         LowCardinality(String) COMMENT 'granted, denied, or empty when not said',
    properties      Map(LowCardinality(String), String) COMMENT 'The site''s own values, at most 16',
    version         UInt64 COMMENT 'Inverse of received_at: the first click received under an id wins for ever'
)
ENGINE = ReplacingMergeTree(version)
-- The month comes from the id itself, not from clicked_at: two tellings of one id must meet in one partition, or neither replaces the other.
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(click_id, 1, 6))), 'UTC'))
ORDER BY click_id
-- 256, not 8192: a lookup of 100 ids reads 18 ms instead of 42 among 50 million rows, for 8 MiB of marks and keys.
SETTINGS index_granularity = 256
COMMENT 'Every click, one row an id; the truth and the join''s store';

-- Unique states, not counts: a click that is loaded again after a crash or a rewind adds nothing to a set of ids.
CREATE TABLE IF NOT EXISTS clicks_hourly
(
    workspace    LowCardinality(String) COMMENT 'As in clicks',
    hour         DateTime('UTC') COMMENT 'Hour of clicked_at',
    program_id   LowCardinality(String) COMMENT 'As in clicks',
    affiliate_id String COMMENT 'As in clicks',
    link_id      String COMMENT 'As in clicks',
    utm_campaign LowCardinality(String) COMMENT 'As in clicks',
    country      LowCardinality(String) COMMENT 'As in clicks',
    clicks       AggregateFunction(uniqCombined64, FixedString(16)) COMMENT 'Click ids, bots left out. Read with uniqCombined64Merge',
    visitors     AggregateFunction(uniqCombined64, String) COMMENT 'visitor_id, else identity_hash, bots left out. Read with uniqCombined64Merge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country)
COMMENT 'Clicks by hour and dimension, for dashboards';

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_hourly_mv TO clicks_hourly AS
SELECT
    workspace,
    toStartOfHour(toDateTime(clicked_at, 'UTC')) AS hour,
    program_id,
    affiliate_id,
    link_id,
    utm_campaign,
    country,
    uniqCombined64State(click_id) AS clicks,
    uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors
FROM clicks
WHERE NOT is_bot
GROUP BY workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country;
