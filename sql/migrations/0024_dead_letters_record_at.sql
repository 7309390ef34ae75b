-- +goose Up
-- A topic that was deleted and made again has other records at the same offsets: without their time, a
-- new dead letter would replace an old one. Letters from before keep the time 0.
ALTER TABLE dead_letters
    ADD COLUMN IF NOT EXISTS record_at DateTime64(3, 'UTC') COMMENT 'The record''s own time in Kafka: tells it apart from the record that a topic of the same name had at this offset. 1970 for letters from before this column, and for offsets that Kafka no longer had' AFTER offset,
    MODIFY ORDER BY (topic, partition, offset, step, record_at);
