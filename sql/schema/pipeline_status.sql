CREATE TABLE pipeline_status
(
    `what` LowCardinality(String) COMMENT 'lag: of a consumer group; audit: every record is stored and booked; reconcile: the ledger equals Stripe\'s balance transactions; backfill: of past Stripe data',
    `subject` String COMMENT 'Of lag group and topic; of reconcile and backfill the mode and the Stripe account; of audit empty',
    `at` DateTime64(3, 'UTC') COMMENT 'When it was found to be so',
    `verdict` LowCardinality(String) COMMENT 'Of checks good, findings or, of reconcile, unproven (no difference, but not everything could be compared); of a backfill under_way or done; of lag empty',
    `number` UInt64 COMMENT 'Of lag records in Kafka behind the committed offsets: not handled yet, or, after a start, read again; of checks findings, of a backfill the lists that are read',
    `detail` String COMMENT 'For people: what was checked, and what was not'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (what, subject)
SETTINGS index_granularity = 8192
COMMENT 'Consumer lag, last audit, last comparison with Stripe, and backfills; written by processors, of all workspaces';
