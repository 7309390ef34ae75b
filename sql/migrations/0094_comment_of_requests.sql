-- +goose Up
ALTER TABLE deferred_names
    COMMENT COLUMN at 'From when on it is to be done, by the clock of the ClickHouse that took it; 1970-01-01: at once. Where done: when that was noted, of a request that proved needless some minutes later; a month after it the row is removed';
