CREATE TABLE leads_attributed
(
    `workspace` LowCardinality(String) COMMENT 'As in leads',
    `lead_id` FixedString(16) COMMENT 'As in leads',
    `received_at` DateTime64(3, 'UTC') COMMENT 'As in leads',
    `occurred_at` DateTime64(3, 'UTC') DEFAULT received_at COMMENT 'As in leads',
    `quantity` UInt8 COMMENT 'As in leads',
    `livemode` Bool DEFAULT true COMMENT 'As in leads',
    `vouched` Bool DEFAULT true COMMENT 'As in leads',
    `person` String COMMENT 'As in leads',
    `event_name` LowCardinality(String) COMMENT 'As in leads',
    `program_id` LowCardinality(String) COMMENT 'As in leads',
    `affiliate_id` String COMMENT 'As in leads',
    `link_id` String COMMENT 'As in leads',
    `utm_campaign` LowCardinality(String) COMMENT 'As in leads',
    `country` LowCardinality(String) COMMENT 'As in leads',
    `match_rule` LowCardinality(String) COMMENT 'As in leads',
    `version` UInt128 COMMENT 'As in leads'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, lead_id)
SETTINGS index_granularity = 8192
COMMENT 'The leads\' narrow copy for dashboards, deferred ones left out; read with FINAL';
