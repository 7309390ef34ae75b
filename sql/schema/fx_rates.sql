CREATE TABLE fx_rates
(
    `currency` LowCardinality(String) COMMENT 'ISO 4217, lower case, as Stripe writes it',
    `date` Date COMMENT 'UTC day that the rate is for, or the first one',
    `valid_to` Date COMMENT 'Last UTC day of a rate that is fixed for a period; 1970-01-01: published for its day, used for up to seven days more',
    `source` LowCardinality(String) COMMENT 'ecb, oxr, file:NAME …; the built-in pegs are not stored',
    `usd` Decimal(38, 18) COMMENT 'USD per major unit of currency',
    `fetched_at` DateTime64(3, 'UTC') COMMENT 'When it was read from its source',
    `fault` String COMMENT 'Why what the source gave is no rate, for example zero; usd is then 0 and converts nothing. Empty: a rate',
    `revised_at` DateTime64(3, 'UTC') COMMENT 'When it took the place of another rate, or came after one of a later day: entries booked before that time may have another rate, and are booked again. 1970-01-01: neither'
)
ENGINE = ReplacingMergeTree(fetched_at)
ORDER BY (currency, date, source)
SETTINGS index_granularity = 8192
COMMENT 'Exchange rates that conversions used or may use';
