-- +goose Up
-- Money of an account that no workspace lists is booked with the status held, in a workspace that stands for the account.
ALTER TABLE stripe_events MODIFY COLUMN workspace LowCardinality(String) COMMENT 'The account''s workspace; unlisted/, the account and a digest of the signing secret while no workspace lists it';
ALTER TABLE ledger MODIFY COLUMN workspace LowCardinality(String) COMMENT 'The account''s workspace; unlisted/, the account and a digest of the signing secret while no workspace lists it';
ALTER TABLE ledger MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3) COMMENT 'held: of an account that no workspace lists; superseded: booked under another object, or in the workspace that lists the account now';
ALTER TABLE ledger_log MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3) COMMENT 'As in ledger; in versions from before 2026-11-25, held: seen, not certain to be a movement of its own';
ALTER TABLE ledger MODIFY COLUMN superseded_by String COMMENT 'Object under which the movement is booked instead; amounts are then zero. The object itself: it was held, and is booked in the workspace that lists its account';

CREATE TABLE IF NOT EXISTS deferred_names
(
    workspace LowCardinality(String) COMMENT 'Names match within one workspace only',
    name      String COMMENT 'Name that very many sales or leads share, about which something new is known: type:value, as in identities',
    request   String COMMENT 'Random: each request to book the sales and leads under the name again is a row',
    at        DateTime64(3, 'UTC') COMMENT 'When it was requested',
    done      Bool COMMENT 'true: they have been booked'
)
ENGINE = ReplacingMergeTree(done)
ORDER BY (workspace, name, request)
TTL toDateTime(at) + toIntervalDay(30) DELETE WHERE done
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What processors book again in the background, because it is too much for a record to wait for';
