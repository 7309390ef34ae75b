CREATE MATERIALIZED VIEW revenue_days_mv TO revenue_days
(
    `workspace` LowCardinality(String),
    `entry_id` FixedString(16),
    `livemode` Bool,
    `day` Date,
    `version` UInt128
)
COMMENT 'Fills revenue_days with the day of each entry'
AS SELECT
    workspace,
    entry_id,
    livemode,
    day,
    version
FROM ledger;
