CREATE TABLE revenue
(
    `workspace` LowCardinality(String) COMMENT 'As in ledger',
    `livemode` Bool COMMENT 'As in ledger',
    `day` Date COMMENT 'As in ledger: UTC day of occurred_at. Say it in the condition beside occurred_at: it is what keeps a question from reading everything',
    `entry_id` FixedString(16) COMMENT 'As in ledger',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'As in ledger',
    `kind` LowCardinality(String) COMMENT 'As in ledger',
    `status` LowCardinality(String) COMMENT 'As in ledger; sum booked only',
    `object_id` String COMMENT 'As in ledger',
    `sale_id` String COMMENT 'As in ledger',
    `customer_id` String COMMENT 'As in ledger',
    `external_customer_id` String COMMENT 'As in ledger',
    `buyer` UInt64 MATERIALIZED sipHash64(multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id)) COMMENT 'sipHash64 of the buyer: external_customer_id, else customer_id, else, of a guest, sale_id',
    `subscription_id` String COMMENT 'As in ledger',
    `billing_reason` LowCardinality(String) COMMENT 'As in ledger',
    `currency` LowCardinality(String) COMMENT 'As in ledger',
    `amount` Int64 COMMENT 'As in ledger',
    `tax` Int64 COMMENT 'As in ledger',
    `amount_usd` Nullable(Decimal(18, 6)) COMMENT 'As in ledger',
    `net_usd` Nullable(Decimal(18, 6)) COMMENT 'As in ledger',
    `products` Array(LowCardinality(String)) COMMENT 'As in ledger',
    `product_net` Array(Int64) COMMENT 'As in ledger',
    `fx_source` LowCardinality(String) COMMENT 'As in ledger; empty: no rate yet',
    `click_id` FixedString(16) COMMENT 'As in ledger',
    `clicked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'As in ledger',
    `program_id` LowCardinality(String) COMMENT 'As in ledger',
    `affiliate_id` String COMMENT 'As in ledger',
    `link_id` String COMMENT 'As in ledger',
    `utm_source` LowCardinality(String) COMMENT 'As in ledger',
    `utm_medium` LowCardinality(String) COMMENT 'As in ledger',
    `utm_campaign` LowCardinality(String) COMMENT 'As in ledger',
    `channel` LowCardinality(String) COMMENT 'As in ledger',
    `country` LowCardinality(String) COMMENT 'As in ledger',
    `device` LowCardinality(String) COMMENT 'As in ledger',
    `match_rule` LowCardinality(String) COMMENT 'As in ledger',
    `match_key` String COMMENT 'As in ledger',
    `version` UInt128 COMMENT 'As in ledger',
    `moved` UInt8 DEFAULT 0 COMMENT '1: a later version of the entry has another day; FINAL leaves this row out'
)
ENGINE = ReplacingMergeTree(version, moved)
ORDER BY (workspace, livemode, day, entry_id)
SETTINGS index_granularity = 8192
COMMENT 'The ledger\'s copy for dashboards, by time; read with FINAL and status = booked';
