CREATE TABLE clicks_by_visitor
(
    `workspace` LowCardinality(String) COMMENT 'As in clicks',
    `hour` DateTime('UTC') COMMENT 'Hour of clicked_at',
    `visitor_link` UInt64 COMMENT 'Hash of who followed which link: of visitor_id (else identity_hash) and of program_id, affiliate_id, link_id, the utm_ columns and ad_click_id; of a link that has none of these, host and path. Without a visitor it is a hash of click_id, so that each such click counts',
    `clicked_at` DateTime64(3, 'UTC') COMMENT 'As in clicks',
    `affiliate_id` String COMMENT 'As in clicks',
    `link_id` String COMMENT 'As in clicks',
    `utm_campaign` LowCardinality(String) COMMENT 'As in clicks'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour, visitor_link, clicked_at, affiliate_id, link_id, utm_campaign)
SETTINGS index_granularity = 8192
COMMENT 'When each visitor followed each link, bots left out. Read it through clicks_counted';
