-- +goose Up
-- A rate that was corrected, or that came after a later one, replaces what was booked without it. The ledger's version holds this time above the rate's finality.
ALTER TABLE fx_rates ADD COLUMN IF NOT EXISTS revised_at DateTime64(3, 'UTC') COMMENT 'When it took the place of another rate, or came after one of a later day: entries booked before that time may have another rate, and are booked again. 1970-01-01: neither';
