CREATE TABLE fx_rates
(
    `currency` LowCardinality(String) COMMENT 'ISO 4217, lower case, as Stripe writes it',
    `date` Date COMMENT 'UTC day that the rate is for',
    `source` LowCardinality(String) COMMENT 'ecb, file:NAME …',
    `usd` Decimal(38, 18) COMMENT 'USD per major unit of currency',
    `fetched_at` DateTime64(3, 'UTC') COMMENT 'When it was read from its source'
)
ENGINE = ReplacingMergeTree(fetched_at)
ORDER BY (currency, date, source)
SETTINGS index_granularity = 8192
COMMENT 'Exchange rates that conversions used or may use';
