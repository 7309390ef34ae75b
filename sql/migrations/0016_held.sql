-- +goose Up
-- Money of an account that no workspace lists is booked with the status held, in a workspace that stands for the account.
ALTER TABLE stripe_events MODIFY COLUMN workspace LowCardinality(String) COMMENT 'The account''s workspace; unlisted/, the account and a digest of the signing secret while no workspace lists it';
ALTER TABLE ledger MODIFY COLUMN workspace LowCardinality(String) COMMENT 'The account''s workspace; unlisted/, the account and a digest of the signing secret while no workspace lists it';
ALTER TABLE ledger MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3) COMMENT 'held: of an account that no workspace lists; superseded: booked under another object, or in the workspace that lists the account now';
ALTER TABLE ledger_log MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3) COMMENT 'As in ledger; in versions from before 2026-11-25, held: seen, not certain to be a movement of its own';
ALTER TABLE ledger MODIFY COLUMN superseded_by String COMMENT 'Object under which the movement is booked instead; amounts are then zero. The object itself: it was held, and is booked in the workspace that lists its account';
