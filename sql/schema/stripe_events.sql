CREATE TABLE stripe_events
(
    `workspace` LowCardinality(String) COMMENT 'The account\'s workspace; unlisted/, the account and a digest of the signing secret while no workspace lists it',
    `event_id` String COMMENT 'evt_…',
    `type` LowCardinality(String) COMMENT 'Stripe\'s event type',
    `account` LowCardinality(String) COMMENT 'acct_… of a connected account; empty for the platform\'s own',
    `livemode` Bool COMMENT 'false: test mode, kept apart',
    `api_version` LowCardinality(String) COMMENT 'Shape of the body, frozen by Stripe when the event was made',
    `created` DateTime('UTC') COMMENT 'When Stripe made the event',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    `body` String COMMENT 'Byte for byte what Stripe signed' CODEC(ZSTD(3)),
    `version` UInt64 COMMENT 'Inverse of received_at: the first delivery stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, merge_selector_base = 10
COMMENT 'Raw webhooks; everything about money can be computed again from here';
