CREATE MATERIALIZED VIEW leads_attributed_mv TO leads_attributed
(
    `workspace` LowCardinality(String),
    `lead_id` FixedString(16),
    `received_at` DateTime64(3, 'UTC'),
    `occurred_at` DateTime64(3, 'UTC'),
    `quantity` UInt8,
    `livemode` Bool,
    `vouched` Bool,
    `person` String,
    `event_name` LowCardinality(String),
    `program_id` LowCardinality(String),
    `affiliate_id` String,
    `link_id` String,
    `utm_campaign` LowCardinality(String),
    `country` LowCardinality(String),
    `match_rule` LowCardinality(String),
    `version` UInt128
)
COMMENT 'Fills leads_attributed with the leads whose credit is decided'
AS SELECT
    workspace,
    lead_id,
    received_at,
    occurred_at,
    quantity,
    livemode,
    vouched,
    person,
    event_name,
    program_id,
    affiliate_id,
    link_id,
    utm_campaign,
    country,
    match_rule,
    version
FROM leads
WHERE mode != 'deferred';
