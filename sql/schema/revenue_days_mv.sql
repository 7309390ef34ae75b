CREATE MATERIALIZED VIEW revenue_days_mv TO revenue_days
(
    `workspace` LowCardinality(String),
    `entry_id` FixedString(16),
    `livemode` Bool,
    `day` Date,
    `version` UInt128
)
AS SELECT
    workspace,
    entry_id,
    livemode,
    day,
    version
FROM ledger;
