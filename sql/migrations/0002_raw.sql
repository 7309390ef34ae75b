-- +goose Up
CREATE TABLE IF NOT EXISTS stripe_events
(
    workspace   LowCardinality(String) COMMENT 'The account''s workspace',
    event_id    String COMMENT 'evt_…',
    type        LowCardinality(String) COMMENT 'Stripe''s event type',
    account     LowCardinality(String) COMMENT 'acct_… of a connected account; empty for the platform''s own',
    livemode    Bool COMMENT 'false: test mode, kept apart',
    api_version LowCardinality(String) COMMENT 'Shape of the body, frozen by Stripe when the event was made',
    created     DateTime('UTC') COMMENT 'When Stripe made the event',
    received_at DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    body        String COMMENT 'Byte for byte what Stripe signed' CODEC(ZSTD(3)),
    version     UInt64 COMMENT 'Inverse of received_at: the first delivery stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Raw webhooks; everything about money can be computed again from here';

CREATE TABLE IF NOT EXISTS dead_letters
(
    at        DateTime64(3, 'UTC') COMMENT 'When it was set aside',
    reason    LowCardinality(String) COMMENT 'Short constant, the same that the metric carries',
    step      LowCardinality(String) COMMENT 'Who refused it: decode, facts, load …',
    topic     LowCardinality(String) COMMENT 'Origin',
    partition Int32 COMMENT 'Origin',
    offset    Int64 COMMENT 'Origin',
    error     String COMMENT 'The error''s words',
    key       String COMMENT 'The record''s key',
    body      String COMMENT 'The record''s value, unchanged' CODEC(ZSTD(3))
)
-- Replacing, not plain: the record's origin is its identity, and a rewind tells it again.
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, step)
COMMENT 'Records that could not be processed, with reason and origin; nothing vanishes';

CREATE TABLE IF NOT EXISTS fx_rates
(
    currency   LowCardinality(String) COMMENT 'ISO 4217, lower case, as Stripe writes it',
    date       Date COMMENT 'UTC day that the rate is for',
    source     LowCardinality(String) COMMENT 'ecb, file:NAME …',
    usd        Decimal(38, 18) COMMENT 'USD per major unit of currency',
    fetched_at DateTime64(3, 'UTC') COMMENT 'When it was read from its source'
)
ENGINE = ReplacingMergeTree(fetched_at)
ORDER BY (currency, date, source)
COMMENT 'Exchange rates that conversions used or may use';
