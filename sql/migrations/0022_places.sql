-- +goose Up
-- What the edge finds in its geography files.
ALTER TABLE clicks
    ADD COLUMN IF NOT EXISTS continent LowCardinality(String) COMMENT 'AF, AN, AS, EU, NA, OC or SA; empty if unknown' AFTER country,
    ADD COLUMN IF NOT EXISTS datacenter Bool COMMENT 'The visitor''s address is of a network that hosts servers; false too where the edge has no file of autonomous systems' AFTER city,
    COMMENT COLUMN region 'As a trusted proxy or the edge''s geography file has it: the second part of an ISO 3166-2 code, or a name; empty if unknown',
    COMMENT COLUMN city 'As a trusted proxy or the edge''s geography file has it; empty if unknown';
ALTER TABLE page_views
    ADD COLUMN IF NOT EXISTS continent LowCardinality(String) COMMENT 'As in clicks' AFTER country,
    ADD COLUMN IF NOT EXISTS datacenter Bool COMMENT 'As in clicks' AFTER city,
    COMMENT COLUMN region 'As in clicks',
    COMMENT COLUMN city 'As in clicks';
