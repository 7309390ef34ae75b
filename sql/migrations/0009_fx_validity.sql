-- +goose Up
ALTER TABLE fx_rates
    ADD COLUMN IF NOT EXISTS valid_to Date COMMENT 'Last UTC day of a rate that is fixed for a period; 1970-01-01: published for its day, used for up to seven days more' AFTER date,
    ADD COLUMN IF NOT EXISTS fault String COMMENT 'Why what the source gave is no rate, for example zero; usd is then 0 and converts nothing. Empty: a rate' AFTER fetched_at,
    MODIFY COLUMN date Date COMMENT 'UTC day that the rate is for, or the first one',
    MODIFY COLUMN source LowCardinality(String) COMMENT 'ecb, oxr, file:NAME …; the built-in pegs are not stored';
