CREATE MATERIALIZED VIEW payments_written_mv TO payments_written
(
    `workspace` LowCardinality(String),
    `livemode` Bool,
    `written_at` DateTime64(3, 'UTC'),
    `day` Date,
    `entry_id` FixedString(16)
)
COMMENT 'Fills payments_written with the payments of each insert'
AS SELECT
    workspace,
    livemode,
    now64(3, 'UTC') AS written_at,
    day,
    entry_id
FROM ledger
WHERE kind = 'payment';
