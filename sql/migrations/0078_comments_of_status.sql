-- +goose Up
ALTER TABLE pipeline_status
    COMMENT COLUMN verdict 'Of checks good, findings or, of reconcile, unproven (no difference, but not everything could be compared); of a backfill under_way or done; of lag empty',
    COMMENT COLUMN number 'Of lag records in Kafka behind the committed offsets: not handled yet, or, after a start, read again; of checks findings, of a backfill the lists that are read';
