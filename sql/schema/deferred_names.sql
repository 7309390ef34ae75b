CREATE TABLE deferred_names
(
    `workspace` LowCardinality(String) COMMENT 'Names match within one workspace only',
    `name` String COMMENT 'Name that very many sales or leads share, about which something new is known: type:value, as in identities',
    `request` String COMMENT 'Random: each request to book the sales and leads under the name again is a row',
    `at` DateTime64(3, 'UTC') COMMENT 'From when on it is to be done, by the clock of the ClickHouse that took it; 1970-01-01: at once. Where done: when that was noted, of a request that proved needless some minutes later; a month after it the row is removed',
    `done` Bool COMMENT 'true: they have been booked'
)
ENGINE = ReplacingMergeTree(done)
ORDER BY (workspace, name, request)
TTL toDateTime(at) + toIntervalDay(30) WHERE done
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192
COMMENT 'What processors book again in the background, because it is too much for a record to wait for';
