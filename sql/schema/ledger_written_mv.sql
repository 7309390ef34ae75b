CREATE MATERIALIZED VIEW ledger_written_mv TO ledger_written
(
    `workspace` LowCardinality(String),
    `entry_id` FixedString(16),
    `version` UInt128,
    `written_at` DateTime64(3, 'UTC')
)
COMMENT 'Fills ledger_written with the time at which a version was written'
AS SELECT
    workspace,
    entry_id,
    version,
    now64(3, 'UTC') AS written_at
FROM ledger;
