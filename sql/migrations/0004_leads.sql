-- +goose Up
CREATE TABLE IF NOT EXISTS leads
(
    workspace    LowCardinality(String) COMMENT 'Owner of the secret key that told it',
    lead_id      FixedString(16) COMMENT 'Hash of workspace, external_id and event_name: the same lead told twice is one row',
    received_at  DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    external_id  String COMMENT 'The person''s id in the seller''s database',
    event_name   LowCardinality(String) COMMENT 'As the backend calls it',
    mode         LowCardinality(String) COMMENT 'async, wait or deferred; a deferred lead only binds names and is not counted',
    quantity     UInt8 COMMENT '1 to 100',
    email_hash   FixedString(16) COMMENT 'Keyed hash of the normalised address; zero if none was given',
    metadata     Map(String, String) COMMENT 'The backend''s own values',
    click_id     FixedString(16) COMMENT 'The click it came from; zero while unknown',
    clicked_at   Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was clicked',
    link_id      String COMMENT 'Copied from the click',
    affiliate_id String COMMENT 'Copied from the click',
    program_id   LowCardinality(String) COMMENT 'Copied from the click',
    utm_campaign LowCardinality(String) COMMENT 'Copied from the click',
    country      LowCardinality(String) COMMENT 'Copied from the click',
    match_rule   LowCardinality(String) COMMENT 'click_id, external_customer or none',
    match_key    String COMMENT 'The name that led to the click',
    version      UInt128 COMMENT 'From content alone, as in ledger'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, lead_id)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sign-ups, trials and whatever else a backend reports, with the click they came from';

CREATE TABLE IF NOT EXISTS leads_attributed
(
    workspace    LowCardinality(String) COMMENT 'As in leads',
    lead_id      FixedString(16) COMMENT 'As in leads',
    received_at  DateTime64(3, 'UTC') COMMENT 'As in leads',
    quantity     UInt8 COMMENT 'As in leads',
    program_id   LowCardinality(String) COMMENT 'As in leads',
    affiliate_id String COMMENT 'As in leads',
    link_id      String COMMENT 'As in leads',
    utm_campaign LowCardinality(String) COMMENT 'As in leads',
    country      LowCardinality(String) COMMENT 'As in leads',
    match_rule   LowCardinality(String) COMMENT 'As in leads',
    version      UInt128 COMMENT 'As in leads'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, lead_id)
COMMENT 'The leads'' narrow copy for dashboards, deferred ones left out; read with FINAL';

CREATE MATERIALIZED VIEW IF NOT EXISTS leads_attributed_mv TO leads_attributed AS
SELECT workspace, lead_id, received_at, quantity, program_id, affiliate_id, link_id, utm_campaign, country, match_rule, version
FROM leads
WHERE mode != 'deferred';

CREATE VIEW IF NOT EXISTS funnel AS
SELECT
    workspace, day, affiliate_id, link_id, utm_campaign,
    sum(clicks) AS clicks, sum(leads) AS leads, sum(sales) AS sales, sum(net_usd) AS net_usd
FROM
(
    SELECT workspace, toDate(hour) AS day, affiliate_id, link_id, utm_campaign, uniqCombined64Merge(clicks) AS clicks, 0 AS leads, 0 AS sales, toDecimal128(0, 6) AS net_usd
    FROM clicks_hourly
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, toDate(received_at) AS day, affiliate_id, link_id, utm_campaign, 0, sum(quantity), 0, toDecimal128(0, 6)
    FROM leads_attributed FINAL
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
    UNION ALL
    SELECT workspace, day, affiliate_id, link_id, utm_campaign, 0, 0, countIf(kind = 'payment'), toDecimal128(sum(coalesce(net_usd, 0)), 6)
    FROM revenue FINAL
    WHERE status = 'booked' AND livemode
    GROUP BY workspace, day, affiliate_id, link_id, utm_campaign
)
GROUP BY workspace, day, affiliate_id, link_id, utm_campaign;
