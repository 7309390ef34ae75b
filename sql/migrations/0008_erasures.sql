-- +goose Up
CREATE TABLE IF NOT EXISTS erasures
(
    workspace LowCardinality(String) COMMENT 'Where the person is to be forgotten',
    name      FixedString(16) COMMENT 'Hash of the name, type:value; the name itself is nowhere. Whoever knows it can ask whether it was erased, and nothing else',
    alias     String COMMENT 'What stands in its place: random, so that one person''s sales still belong together; empty where nothing need stand',
    at        DateTime64(3, 'UTC') COMMENT 'When it was erased'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Names that must not come back, whatever is read again';
