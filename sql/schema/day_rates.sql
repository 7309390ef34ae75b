CREATE TABLE day_rates
(
    `currency` LowCardinality(String) COMMENT 'ISO 4217, lower case',
    `day` Date COMMENT 'UTC day',
    `usd` Decimal(38, 18) COMMENT 'USD per major unit of currency, by which the ledger converts money of that day; 0: nothing converts it',
    `source` LowCardinality(String) COMMENT 'Where it is from: ecb, oxr, file:NAME, pegs; empty: nothing converts it',
    `written_at` DateTime64(3, 'UTC') COMMENT 'When a processor wrote it'
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY (currency, day)
SETTINGS index_granularity = 8192
COMMENT 'Exchange rates of each day since the first of the ledger, as processor run computes them from fx_rates and pegs, in the sources\' order of preference';
