CREATE TABLE page_views
(
    `workspace` LowCardinality(String) COMMENT 'Owner of the publishable key that the beacon carried',
    `page_view_id` FixedString(16) COMMENT 'UUIDv7, big-endian; UUIDNumToString(page_view_id) renders it' CODEC(ZSTD(1)),
    `viewed_at` DateTime64(3, 'UTC') COMMENT 'When the page was shown, clamped by the edge to 30 days before and 5 minutes after receipt' CODEC(Delta(8), ZSTD(1)),
    `received_at` DateTime64(3, 'UTC') COMMENT 'When the edge took it' CODEC(T64('bit'), ZSTD(1)),
    `program_id` LowCardinality(String) COMMENT 'Affiliate programme of the site; empty if none' CODEC(ZSTD(1)),
    `link_id` String COMMENT 'Of a Dub or PiMMs script, domain/_root; else empty' CODEC(ZSTD(1)),
    `visitor_id` String COMMENT 'The browser\'s own id; empty without consent' CODEC(ZSTD(1)),
    `identity_hash` FixedString(8) COMMENT 'Keyed hash of address, agent and host that rotates daily; zero without consent. Stands in for visitor_id',
    `url` String COMMENT 'The page as the beacon gave it. A parameter in it that names an affiliate, for example ?via=, names nobody here' CODEC(ZSTD(1)),
    `host` LowCardinality(String) COMMENT 'Host of url, lower case' CODEC(ZSTD(1)),
    `path` String COMMENT 'Path of url, without query' CODEC(ZSTD(1)),
    `referrer` String COMMENT 'Full referrer; empty if none' CODEC(ZSTD(1)),
    `referrer_domain` LowCardinality(String) COMMENT 'Host of the referrer without www.; empty if none or the site itself' CODEC(ZSTD(1)),
    `channel` LowCardinality(String) COMMENT 'As in clicks' CODEC(ZSTD(1)),
    `country` LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2, upper case; empty if unknown' CODEC(ZSTD(1)),
    `continent` LowCardinality(String) COMMENT 'As in clicks' CODEC(ZSTD(1)),
    `region` LowCardinality(String) COMMENT 'As in clicks' CODEC(ZSTD(1)),
    `city` LowCardinality(String) COMMENT 'As in clicks' CODEC(ZSTD(1)),
    `datacenter` Bool COMMENT 'As in clicks',
    `browser` LowCardinality(String) COMMENT 'Family by the user agent; empty if unknown' CODEC(ZSTD(1)),
    `browser_version` LowCardinality(String) COMMENT 'Major version; empty if unknown' CODEC(ZSTD(1)),
    `os` LowCardinality(String) COMMENT 'Operating system by the user agent; empty if unknown' CODEC(ZSTD(1)),
    `os_version` LowCardinality(String) COMMENT 'Its version; empty if unknown' CODEC(ZSTD(1)),
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, bot or other' CODEC(ZSTD(1)),
    `user_agent` LowCardinality(String) COMMENT 'As sent' CODEC(ZSTD(1)),
    `is_bot` Bool COMMENT 'Flagged, never dropped; page_views_hourly leaves it out',
    `bot_reason` LowCardinality(String) COMMENT 'Which rule flagged it; empty if none did' CODEC(ZSTD(1)),
    `consent` LowCardinality(String) COMMENT 'granted, denied, or empty when not said' CODEC(ZSTD(1)),
    `properties` Map(LowCardinality(String), String) COMMENT 'The site\'s own values, at most 16' CODEC(ZSTD(1)),
    `version` UInt64 COMMENT 'Inverse of received_at: the first page view received under an id wins for ever' CODEC(T64('bit'), ZSTD(1)),
    `visitor` String ALIAS if(visitor_id != '', visitor_id, hex(identity_hash)) COMMENT 'As in clicks',
    INDEX by_time viewed_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(page_view_id, 1, 6))), 'UTC'))
ORDER BY (workspace, page_view_id)
SETTINGS index_granularity = 8192
COMMENT 'Every page view, one row an id: a page that was shown without an arrival by a link. Never credited';
