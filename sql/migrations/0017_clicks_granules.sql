-- +goose Up
-- The table clicks anew, with the same columns, because the size of its granules cannot be altered. Its parts are linked, not copied, so that
-- this takes no longer on a full table; each gets the new form when it is merged.
--
-- 1024 rows a granule and blocks of 4 KiB, instead of 256 rows and blocks of 64 KiB: the join looks single clicks up, and what that costs is
-- the blocks that are decompressed for them, one for each column. Granules of 256 rows, by which the table was first made to answer fast, cost
-- every insert and every merge more than they saved a lookup.
-- An interrupted run may have left its table. After the exchange below that is the old one, with rows that came in between; they go back, and
-- what is doubled then replaces itself.
CREATE TABLE IF NOT EXISTS clicks_0017 AS clicks;
ALTER TABLE clicks ATTACH PARTITION ALL FROM clicks_0017;
DROP TABLE clicks_0017 SETTINGS max_table_size_to_drop = 0;

CREATE TABLE clicks_0017
(
    workspace       LowCardinality(String) COMMENT 'Owner of the publishable key that the beacon carried',
    click_id        FixedString(16) COMMENT 'UUIDv7, big-endian; UUIDNumToString(click_id) renders it. FixedString, not UUID: a UUID column sorts by its second half and loses the order of time' CODEC(ZSTD(1)),
    clicked_at      DateTime64(3, 'UTC') COMMENT 'When the visitor clicked, clamped by the edge to 30 days before and 5 minutes after receipt' CODEC(Delta, ZSTD(1)),
    received_at     DateTime64(3, 'UTC') COMMENT 'When the edge took it' CODEC(Delta, ZSTD(1)),
    foreign_id      String COMMENT 'The id that the site itself uses for this click; empty if it uses ours' CODEC(ZSTD(1)),
    program_id      LowCardinality(String) COMMENT 'Affiliate programme; empty if none',
    affiliate_id    String COMMENT 'Affiliate who is to be credited; empty if none' CODEC(ZSTD(1)),
    link_id         String COMMENT 'Link that was followed; empty if none' CODEC(ZSTD(1)),
    visitor_id      String COMMENT 'The browser''s own id; empty without consent' CODEC(ZSTD(1)),
    identity_hash   FixedString(8) COMMENT 'Keyed hash of address, agent and host that rotates daily; zero without consent. Stands in for visitor_id',
    url             String COMMENT 'Landing page as the beacon gave it' CODEC(ZSTD(1)),
    host            LowCardinality(String) COMMENT 'Host of url, lower case',
    path            String COMMENT 'Path of url, without query' CODEC(ZSTD(1)),
    referrer        String COMMENT 'Full referrer; empty if none' CODEC(ZSTD(1)),
    referrer_domain LowCardinality(String) COMMENT 'Host of the referrer without www.; empty if none or the site itself',
    utm_source      LowCardinality(String) COMMENT 'From url; empty if absent',
    utm_medium      LowCardinality(String) COMMENT 'From url; empty if absent',
    utm_campaign    LowCardinality(String) COMMENT 'From url; empty if absent',
    utm_term        String COMMENT 'From url; empty if absent' CODEC(ZSTD(1)),
    utm_content     String COMMENT 'From url; empty if absent' CODEC(ZSTD(1)),
    ad_network      LowCardinality(String) COMMENT 'google, meta, microsoft …, by the ad click parameter; empty if none',
    ad_click_id     String COMMENT 'gclid, fbclid, msclkid …; empty if none' CODEC(ZSTD(1)),
    channel         LowCardinality(String) COMMENT 'direct, organic_search, paid_search, organic_social, paid_social, email, affiliate, referral, ai, display or other',
    country         LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2, upper case; empty if unknown',
    region          LowCardinality(String) COMMENT 'As the trusted proxy named it; empty if unknown',
    city            LowCardinality(String) COMMENT 'As the trusted proxy named it; empty if unknown',
    browser         LowCardinality(String) COMMENT 'Family by the user agent; empty if unknown',
    browser_version LowCardinality(String) COMMENT 'Major version; empty if unknown',
    os              LowCardinality(String) COMMENT 'Operating system by the user agent; empty if unknown',
    os_version      LowCardinality(String) COMMENT 'Its version; empty if unknown',
    device          LowCardinality(String) COMMENT 'desktop, mobile, tablet, bot or other',
    user_agent      String COMMENT 'As sent' CODEC(ZSTD(1)),
    trigger         LowCardinality(String) COMMENT 'link, qr, deeplink or form; empty when not said. A pageview is in page_views',
    is_bot          Bool COMMENT 'Flagged, never dropped; dashboards leave it out',
    bot_reason      LowCardinality(String) COMMENT 'Which rule flagged it; empty if none did',
    consent         LowCardinality(String) COMMENT 'granted, denied, or empty when not said',
    vouched         Bool DEFAULT false COMMENT 'true: a secret key came with it, a backend wrote it; false: anybody may have written it',
    properties      Map(LowCardinality(String), String) COMMENT 'The site''s own values, at most 16' CODEC(ZSTD(1)),
    version         UInt64 COMMENT 'Inverse of received_at: the first click received under an id wins for ever' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
-- The month comes from the id itself, not from clicked_at: two tellings of one id must meet in one partition, or neither replaces the other.
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(click_id, 1, 6))), 'UTC'))
ORDER BY (workspace, click_id)
SETTINGS index_granularity = 1024, min_compress_block_size = 4096, max_compress_block_size = 65536
COMMENT 'Every click, one row an id and workspace; the truth and the join''s store';

ALTER TABLE clicks_0017 ATTACH PARTITION ALL FROM clicks;

EXCHANGE TABLES clicks AND clicks_0017;

-- What a processor inserted between the two statements above. Rows that are there already replace themselves, in the views too.
INSERT INTO clicks SELECT * FROM clicks_0017 WHERE _part IN
    (SELECT name FROM system.parts WHERE database = currentDatabase() AND table = 'clicks_0017' AND active AND modification_time > now() - INTERVAL 10 MINUTE);

DROP TABLE clicks_0017 SETTINGS max_table_size_to_drop = 0;
