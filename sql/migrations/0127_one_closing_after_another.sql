-- +goose Up
-- After one closed month ClickHouse takes one closing: processor earnings close gives its row a token that names the month before, and a
-- second row with the same token is dropped. On several servers Keeper does it; on a single one a table must be told to remember tokens.
ALTER TABLE earning_months MODIFY SETTING non_replicated_deduplication_window = 1000, replicated_deduplication_window = 10000;
