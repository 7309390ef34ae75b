CREATE TABLE spend
(
    `workspace` LowCardinality(String) COMMENT 'Who spent it',
    `day` Date COMMENT 'On which day, as the seller of the advertisements counts days',
    `affiliate_id` String COMMENT 'For whom; empty if for none',
    `utm_source` String COMMENT 'As in clicks; empty: not known',
    `utm_campaign` String COMMENT 'As in clicks; empty: not known',
    `channel` LowCardinality(String) COMMENT 'As in clicks; empty: not known',
    `currency` LowCardinality(String) DEFAULT 'usd' COMMENT 'ISO 4217, lower case',
    `amount` Decimal(18, 6) COMMENT 'Major units of currency',
    `loaded_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was loaded: a row that is loaded again under the same names replaces the one before'
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (workspace, day, channel, utm_source, utm_campaign, affiliate_id, currency)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What advertisements and affiliates cost, by day; loaded from CSV by INSERT. Read with FINAL';
