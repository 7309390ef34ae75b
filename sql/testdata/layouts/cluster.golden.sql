-- 0001_clicks.sql
CREATE TABLE IF NOT EXISTS clicks_local ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', version)
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
CREATE TABLE IF NOT EXISTS clicks_hourly ON CLUSTER `main`
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_hourly_mv ON CLUSTER `main` TO clicks_hourly AS
-- 0002_raw.sql
CREATE TABLE IF NOT EXISTS stripe_events ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE TABLE IF NOT EXISTS dead_letters ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE TABLE IF NOT EXISTS fx_rates ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', fetched_at)
-- 0003_ledger.sql
CREATE TABLE IF NOT EXISTS facts ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE TABLE IF NOT EXISTS identities ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE TABLE IF NOT EXISTS ledger ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE VIEW IF NOT EXISTS ledger_current ON CLUSTER `main` AS
CREATE TABLE IF NOT EXISTS ledger_log ON CLUSTER `main` AS ledger
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS ledger_log_mv ON CLUSTER `main` TO ledger_log AS SELECT * FROM ledger
CREATE TABLE IF NOT EXISTS revenue ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE MATERIALIZED VIEW IF NOT EXISTS revenue_mv ON CLUSTER `main` TO revenue AS
-- 0004_leads.sql
CREATE TABLE IF NOT EXISTS leads ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE TABLE IF NOT EXISTS leads_attributed ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE MATERIALIZED VIEW IF NOT EXISTS leads_attributed_mv ON CLUSTER `main` TO leads_attributed AS
CREATE VIEW IF NOT EXISTS funnel ON CLUSTER `main` AS
-- 0005_clicks_minutely.sql
CREATE TABLE IF NOT EXISTS clicks_minutely ON CLUSTER `main`
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_minutely_mv ON CLUSTER `main` TO clicks_minutely AS
-- 0006_carried.sql
ALTER TABLE identities ADD COLUMN IF NOT EXISTS carried Bool DEFAULT false
ALTER TABLE identities MODIFY COLUMN version UInt64
ALTER TABLE identities MODIFY COLUMN key String
ALTER TABLE facts MODIFY COLUMN kind LowCardinality(String)
ALTER TABLE facts MODIFY COLUMN source LowCardinality(String)
ALTER TABLE ledger MODIFY COLUMN fx_source LowCardinality(String)
ALTER TABLE leads MODIFY COLUMN received_at DateTime64(3, 'UTC')
ALTER TABLE leads MODIFY COLUMN mode LowCardinality(String)
ALTER TABLE leads MODIFY COLUMN match_rule LowCardinality(String)
-- 0007_letters.sql
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS headers Map(LowCardinality(String), String)
ALTER TABLE facts MODIFY COLUMN kind LowCardinality(String)
-- 0008_erasures.sql
CREATE TABLE IF NOT EXISTS erasures ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
-- 0009_fx_validity.sql
ALTER TABLE fx_rates
-- 0010_payments.sql
ALTER TABLE facts
ALTER TABLE facts MODIFY COLUMN object_id String
ALTER TABLE facts MODIFY COLUMN kind LowCardinality(String)
ALTER TABLE facts MODIFY COLUMN parent_id String
ALTER TABLE facts MODIFY COLUMN settled Bool
ALTER TABLE facts MODIFY COLUMN amount Int64
ALTER TABLE identities MODIFY COLUMN key String
ALTER TABLE ledger MODIFY COLUMN entry_id FixedString(16)
ALTER TABLE ledger MODIFY COLUMN object_id String
ALTER TABLE ledger MODIFY COLUMN sale_id String
ALTER TABLE ledger MODIFY COLUMN tax_derived Bool
ALTER TABLE ledger MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3)
CREATE OR REPLACE VIEW ledger_current ON CLUSTER `main` AS
CREATE OR REPLACE VIEW funnel ON CLUSTER `main` AS
CREATE TABLE IF NOT EXISTS ledger_rules ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', since)
-- 0011_trust.sql
ALTER TABLE clicks_local ON CLUSTER `main` ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT false
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
DROP TABLE IF EXISTS clicks_anew ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS clicks_anew_local ON CLUSTER `main` SYNC
CREATE TABLE clicks_anew_local ON CLUSTER `main` AS clicks_local
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', version)
CREATE OR REPLACE TABLE clicks_anew ON CLUSTER `main` AS clicks_anew_local
ENGINE = Distributed('main', 'tributary', 'clicks_anew_local', cityHash64(click_id))
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO clicks_anew SELECT * FROM clicks SETTINGS max_partitions_per_insert_block = 0
EXCHANGE TABLES clicks_anew_local AND clicks_local ON CLUSTER `main`
CREATE OR REPLACE TABLE clicks_anew ON CLUSTER `main` AS clicks_anew_local
ENGINE = Distributed('main', 'tributary', 'clicks_anew_local', cityHash64(click_id))
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
DROP TABLE clicks_anew ON CLUSTER `main` SYNC
DROP TABLE clicks_anew_local ON CLUSTER `main` SYNC
CREATE TABLE IF NOT EXISTS first_names ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO first_names
ALTER TABLE identities MODIFY COLUMN key String
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.first_names LIGHTWEIGHT
INSERT INTO identities (workspace, key, target, source, at, version)
ALTER TABLE identities DELETE WHERE source IN ('click.foreign_id', 'click.affiliate_id') AND NOT startsWith(key, 'public:') AND NOT startsWith(target, 'public:') SETTINGS mutations_sync = 2
ALTER TABLE leads ADD COLUMN IF NOT EXISTS livemode Bool DEFAULT true
ALTER TABLE leads ADD COLUMN IF NOT EXISTS person String
ALTER TABLE leads MODIFY COLUMN match_rule LowCardinality(String)
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS livemode Bool DEFAULT true
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS person String
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS event_name LowCardinality(String)
ALTER TABLE leads_attributed_mv ON CLUSTER `main` MODIFY QUERY
CREATE OR REPLACE VIEW people ON CLUSTER `main` AS
CREATE OR REPLACE VIEW funnel ON CLUSTER `main` AS
-- 0015_page_views.sql
CREATE TABLE IF NOT EXISTS page_views_local ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', version)
CREATE OR REPLACE TABLE page_views ON CLUSTER `main` AS page_views_local
ENGINE = Distributed('main', 'tributary', 'page_views_local', cityHash64(page_view_id))
CREATE TABLE IF NOT EXISTS page_views_hourly ON CLUSTER `main`
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS page_views_hourly_mv ON CLUSTER `main` TO page_views_hourly AS
CREATE TABLE IF NOT EXISTS clicks_by_visitor ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_visitor_mv ON CLUSTER `main` TO clicks_by_visitor AS
CREATE OR REPLACE VIEW clicks_counted ON CLUSTER `main` AS
CREATE OR REPLACE VIEW clicks_daily ON CLUSTER `main` AS
CREATE OR REPLACE VIEW funnel ON CLUSTER `main` AS
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO page_views
ALTER TABLE clicks_local ON CLUSTER `main` DELETE WHERE trigger = 'pageview' SETTINGS mutations_sync = 2
ALTER TABLE clicks_local ON CLUSTER `main` MODIFY COLUMN trigger LowCardinality(String)
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
ALTER TABLE clicks_hourly MODIFY COLUMN clicks AggregateFunction(uniqCombined64, FixedString(16))
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO clicks_by_visitor
DROP TABLE IF EXISTS clicks_hourly_rebuilt ON CLUSTER `main` SYNC
CREATE TABLE clicks_hourly_rebuilt ON CLUSTER `main` AS clicks_hourly
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO clicks_hourly_rebuilt
EXCHANGE TABLES clicks_hourly_rebuilt AND clicks_hourly ON CLUSTER `main`
DROP TABLE clicks_hourly_rebuilt ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS clicks_minutely_rebuilt ON CLUSTER `main` SYNC
CREATE TABLE clicks_minutely_rebuilt ON CLUSTER `main` AS clicks_minutely
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO clicks_minutely_rebuilt
EXCHANGE TABLES clicks_minutely_rebuilt AND clicks_minutely ON CLUSTER `main`
DROP TABLE clicks_minutely_rebuilt ON CLUSTER `main` SYNC
-- 0016_names.sql
ALTER TABLE stripe_events MODIFY COLUMN workspace LowCardinality(String)
ALTER TABLE ledger MODIFY COLUMN workspace LowCardinality(String)
ALTER TABLE ledger MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3)
ALTER TABLE ledger_log MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3)
ALTER TABLE ledger MODIFY COLUMN superseded_by String
CREATE TABLE IF NOT EXISTS deferred_names ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', done)
-- 0017_clicks_granules.sql
CREATE TABLE IF NOT EXISTS clicks_0017_local ON CLUSTER `main` AS clicks_local
CREATE OR REPLACE TABLE clicks_0017 ON CLUSTER `main` AS clicks_0017_local
ENGINE = Distributed('main', 'tributary', 'clicks_0017_local', cityHash64(click_id))
ALTER TABLE clicks_local ON CLUSTER `main` ATTACH PARTITION ALL FROM clicks_0017_local
DROP TABLE clicks_0017 ON CLUSTER `main` SETTINGS max_table_size_to_drop = 0
DROP TABLE clicks_0017_local ON CLUSTER `main` SETTINGS max_table_size_to_drop = 0
CREATE TABLE clicks_0017_local ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', version)
CREATE OR REPLACE TABLE clicks_0017 ON CLUSTER `main` AS clicks_0017_local
ENGINE = Distributed('main', 'tributary', 'clicks_0017_local', cityHash64(click_id))
ALTER TABLE clicks_0017_local ON CLUSTER `main` ATTACH PARTITION ALL FROM clicks_local
EXCHANGE TABLES clicks_local AND clicks_0017_local ON CLUSTER `main`
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
CREATE OR REPLACE TABLE clicks_0017 ON CLUSTER `main` AS clicks_0017_local
ENGINE = Distributed('main', 'tributary', 'clicks_0017_local', cityHash64(click_id))
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_0017_local LIGHTWEIGHT
INSERT INTO clicks SELECT * FROM clicks_0017 WHERE _part IN
DROP TABLE clicks_0017 ON CLUSTER `main` SETTINGS max_table_size_to_drop = 0
DROP TABLE clicks_0017_local ON CLUSTER `main` SETTINGS max_table_size_to_drop = 0
-- 0018_click_days.sql
ALTER TABLE clicks_local ON CLUSTER `main`
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
ALTER TABLE clicks_local ON CLUSTER `main` MATERIALIZE COLUMN visitor_link
ALTER TABLE page_views_local ON CLUSTER `main`
CREATE OR REPLACE TABLE page_views ON CLUSTER `main` AS page_views_local
ENGINE = Distributed('main', 'tributary', 'page_views_local', cityHash64(page_view_id))
ALTER TABLE clicks_local ON CLUSTER `main` ADD INDEX IF NOT EXISTS by_time clicked_at TYPE minmax GRANULARITY 1
ALTER TABLE clicks_local ON CLUSTER `main` MATERIALIZE INDEX by_time SETTINGS mutations_sync = 2
ALTER TABLE page_views_local ON CLUSTER `main` ADD INDEX IF NOT EXISTS by_time viewed_at TYPE minmax GRANULARITY 1
ALTER TABLE page_views_local ON CLUSTER `main` MATERIALIZE INDEX by_time SETTINGS mutations_sync = 2
CREATE TABLE IF NOT EXISTS click_days ON CLUSTER `main`
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS click_days_mv ON CLUSTER `main` TO click_days AS
CREATE MATERIALIZED VIEW IF NOT EXISTS click_days_of_page_views_mv ON CLUSTER `main` TO click_days AS
CREATE TABLE IF NOT EXISTS clicks_by_day ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', computed_at)
DROP TABLE IF EXISTS clicks_hourly_mv ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS clicks_minutely_mv ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS clicks_by_visitor_mv ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS page_views_hourly_mv ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS clicks_hourly ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS clicks_minutely ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS clicks_by_visitor ON CLUSTER `main` SYNC
DROP TABLE IF EXISTS page_views_hourly ON CLUSTER `main` SYNC
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO click_days (workspace, day, changed_at, last_click_received)
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.page_views_local LIGHTWEIGHT
INSERT INTO click_days (workspace, day, changed_at, last_page_view_received)
CREATE OR REPLACE VIEW clicks_counted ON CLUSTER `main` AS
CREATE OR REPLACE VIEW clicks_by_dimension ON CLUSTER `main` AS
CREATE OR REPLACE VIEW clicks_daily ON CLUSTER `main`
CREATE OR REPLACE VIEW clicks_hourly ON CLUSTER `main`
CREATE OR REPLACE VIEW page_views_hourly ON CLUSTER `main`
-- 0019_revenue_by_time.sql
CREATE TABLE IF NOT EXISTS revenue_days ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE MATERIALIZED VIEW IF NOT EXISTS revenue_days_mv ON CLUSTER `main` TO revenue_days AS
DROP TABLE IF EXISTS revenue_rebuilt ON CLUSTER `main` SYNC
CREATE TABLE revenue_rebuilt ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version, moved)
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.ledger_log LIGHTWEIGHT
INSERT INTO revenue_days
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.ledger LIGHTWEIGHT
INSERT INTO revenue_days
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.ledger LIGHTWEIGHT
INSERT INTO revenue_rebuilt
EXCHANGE TABLES revenue_rebuilt AND revenue ON CLUSTER `main`
DROP TABLE revenue_rebuilt ON CLUSTER `main` SYNC
ALTER TABLE revenue_mv ON CLUSTER `main` MODIFY QUERY
CREATE OR REPLACE VIEW sales ON CLUSTER `main`
CREATE OR REPLACE VIEW customers ON CLUSTER `main`
CREATE OR REPLACE VIEW affiliates ON CLUSTER `main`
CREATE OR REPLACE VIEW links ON CLUSTER `main`
CREATE OR REPLACE VIEW channels ON CLUSTER `main`
-- 0020_questions.sql
CREATE VIEW IF NOT EXISTS sale_touches ON CLUSTER `main` AS
CREATE VIEW IF NOT EXISTS channel_effects ON CLUSTER `main` AS
CREATE VIEW IF NOT EXISTS reporting_rates ON CLUSTER `main` AS
CREATE VIEW IF NOT EXISTS activity ON CLUSTER `main` AS
CREATE TABLE IF NOT EXISTS spend ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', loaded_at)
CREATE VIEW IF NOT EXISTS spend_shown ON CLUSTER `main` AS
CREATE TABLE IF NOT EXISTS ledger_written ON CLUSTER `main`
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS ledger_written_mv ON CLUSTER `main` TO ledger_written AS
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.ledger_log LIGHTWEIGHT
INSERT INTO ledger_written (workspace, entry_id, version, written_at)
-- 0021_earnings.sql
CREATE TABLE IF NOT EXISTS earning_rules ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE TABLE IF NOT EXISTS earning_months ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE TABLE IF NOT EXISTS earning_lines ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE VIEW IF NOT EXISTS earnings ON CLUSTER `main` AS
CREATE VIEW IF NOT EXISTS statement_lines ON CLUSTER `main` AS
CREATE VIEW IF NOT EXISTS statements ON CLUSTER `main` AS
-- 0022_places.sql
ALTER TABLE clicks_local ON CLUSTER `main`
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
ALTER TABLE page_views_local ON CLUSTER `main`
CREATE OR REPLACE TABLE page_views ON CLUSTER `main` AS page_views_local
ENGINE = Distributed('main', 'tributary', 'page_views_local', cityHash64(page_view_id))
-- 0023_vouched_leads.sql
ALTER TABLE leads ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT true
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT true
ALTER TABLE leads_attributed_mv ON CLUSTER `main` MODIFY QUERY
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.leads LIGHTWEIGHT
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.identities LIGHTWEIGHT
INSERT INTO leads
CREATE OR REPLACE VIEW people ON CLUSTER `main`
CREATE VIEW IF NOT EXISTS public_leads ON CLUSTER `main`
CREATE OR REPLACE VIEW funnel ON CLUSTER `main`
-- 0024_dead_letters_record_at.sql
ALTER TABLE dead_letters
-- 0025_arrivals.sql
CREATE OR REPLACE VIEW clicks_counted ON CLUSTER `main` AS
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO click_days (workspace, day, changed_at)
-- 0026_counted_clicks.sql
ALTER TABLE clicks_by_day
ALTER TABLE click_days
CREATE OR REPLACE VIEW clicks_by_dimension ON CLUSTER `main` AS
CREATE OR REPLACE VIEW activity ON CLUSTER `main` AS
-- 0027_ledger_current.sql
CREATE OR REPLACE VIEW ledger_current ON CLUSTER `main`
-- 0028_pipeline_status.sql
CREATE TABLE IF NOT EXISTS pipeline_status ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', at)
-- 0029_facts_terms.sql
ALTER TABLE facts ON CLUSTER `main`
-- 0030_facts_kinds.sql
ALTER TABLE facts ON CLUSTER `main`
-- 0031_lead_times.sql
ALTER TABLE leads ADD COLUMN IF NOT EXISTS occurred_at DateTime64(3, 'UTC') DEFAULT received_at
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS occurred_at DateTime64(3, 'UTC') DEFAULT received_at
ALTER TABLE leads_attributed_mv ON CLUSTER `main` MODIFY QUERY
CREATE OR REPLACE VIEW people ON CLUSTER `main`
CREATE OR REPLACE VIEW public_leads ON CLUSTER `main`
-- 0032_comments.sql
ALTER TABLE earnings ON CLUSTER `main`
ALTER TABLE ledger ON CLUSTER `main`
ALTER TABLE ledger_log ON CLUSTER `main`
ALTER TABLE ledger_current ON CLUSTER `main`
-- 0033_touches.sql
CREATE OR REPLACE VIEW sale_touches ON CLUSTER `main` AS
CREATE OR REPLACE VIEW channel_effects ON CLUSTER `main` AS
-- 0034_revised_rates.sql
ALTER TABLE fx_rates ADD COLUMN IF NOT EXISTS revised_at DateTime64(3, 'UTC')
-- 0036_answers.sql
CREATE OR REPLACE VIEW clicks_counted ON CLUSTER `main` AS
CREATE OR REPLACE VIEW clicks_by_dimension ON CLUSTER `main` AS
ALTER TABLE affiliates ON CLUSTER `main` MODIFY
ALTER TABLE channels ON CLUSTER `main` MODIFY
ALTER TABLE click_days_mv ON CLUSTER `main` MODIFY
ALTER TABLE click_days_of_page_views_mv ON CLUSTER `main` MODIFY
ALTER TABLE clicks_daily ON CLUSTER `main` MODIFY
ALTER TABLE clicks_hourly ON CLUSTER `main` MODIFY
ALTER TABLE customers ON CLUSTER `main` MODIFY
ALTER TABLE leads_attributed_mv ON CLUSTER `main` MODIFY
ALTER TABLE ledger_log_mv ON CLUSTER `main` MODIFY
ALTER TABLE ledger_written_mv ON CLUSTER `main` MODIFY
ALTER TABLE links ON CLUSTER `main` MODIFY
ALTER TABLE page_views_hourly ON CLUSTER `main` MODIFY
ALTER TABLE revenue_days_mv ON CLUSTER `main` MODIFY
ALTER TABLE revenue_mv ON CLUSTER `main` MODIFY
ALTER TABLE sales ON CLUSTER `main` MODIFY
-- 0037_vouched_clicks.sql
ALTER TABLE clicks_local ON CLUSTER `main`
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
-- 0038_words.sql
ALTER TABLE facts ON CLUSTER `main`
ALTER TABLE first_names ON CLUSTER `main`
ALTER TABLE first_names ON CLUSTER `main` MODIFY
ALTER TABLE identities ON CLUSTER `main`
ALTER TABLE leads ON CLUSTER `main`
ALTER TABLE ledger_log ON CLUSTER `main` MODIFY
-- 0040_activity.sql
CREATE OR REPLACE VIEW activity ON CLUSTER `main` AS
-- 0041_click_bytes.sql
ALTER TABLE clicks_local ON CLUSTER `main`
CREATE OR REPLACE TABLE clicks ON CLUSTER `main` AS clicks_local
ENGINE = Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))
ALTER TABLE page_views_local ON CLUSTER `main`
CREATE OR REPLACE TABLE page_views ON CLUSTER `main` AS page_views_local
ENGINE = Distributed('main', 'tributary', 'page_views_local', cityHash64(page_view_id))
-- 0042_stated_tax.sql
ALTER TABLE facts ON CLUSTER `main`
-- 0045_late_clicks.sql
ALTER TABLE click_days_mv ON CLUSTER `main` MODIFY QUERY
ALTER TABLE click_days ON CLUSTER `main` COMMENT COLUMN changed_at 'When something was last inserted that may change this day: a click or page view of it, a click of the day before, or one under an id of either. Read with max'
-- 0046_open_clicks.sql
CREATE OR REPLACE VIEW activity ON CLUSTER `main` AS
CREATE OR REPLACE VIEW clicks_by_dimension ON CLUSTER `main` AS
-- 0047_products.sql
ALTER TABLE facts
ALTER TABLE ledger_log
ALTER TABLE revenue
ALTER TABLE ledger
ALTER TABLE ledger_log_mv ON CLUSTER `main` MODIFY QUERY
ALTER TABLE revenue_mv ON CLUSTER `main` MODIFY QUERY
CREATE OR REPLACE VIEW ledger_current ON CLUSTER `main`
CREATE OR REPLACE VIEW activity ON CLUSTER `main` AS
-- 0048_first_sales_and_paths.sql
ALTER TABLE revenue
ALTER TABLE revenue MATERIALIZE COLUMN buyer
CREATE OR REPLACE VIEW activity ON CLUSTER `main` AS
CREATE OR REPLACE VIEW channel_effects ON CLUSTER `main` AS
-- 0049_invoice_due.sql
ALTER TABLE facts
-- 0053_first_reports.sql
CREATE OR REPLACE VIEW people ON CLUSTER `main`
CREATE OR REPLACE VIEW public_leads ON CLUSTER `main`
-- 0054_open_page_views.sql
CREATE OR REPLACE VIEW clicks_by_dimension ON CLUSTER `main` AS
-- 0055_sold_touches.sql
CREATE OR REPLACE VIEW sale_touches ON CLUSTER `main` AS
-- 0056_earnings_by_product.sql
ALTER TABLE earning_lines
CREATE OR REPLACE VIEW earnings ON CLUSTER `main`
CREATE OR REPLACE VIEW statement_lines ON CLUSTER `main` AS
CREATE OR REPLACE VIEW statements ON CLUSTER `main` AS
-- 0057_first_payment.sql
CREATE OR REPLACE VIEW sales ON CLUSTER `main`
-- 0058_day_rates_and_names.sql
CREATE TABLE IF NOT EXISTS day_rates ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', written_at)
CREATE OR REPLACE VIEW reporting_rates ON CLUSTER `main` AS
CREATE OR REPLACE VIEW spend_shown ON CLUSTER `main` AS
CREATE OR REPLACE VIEW product_names ON CLUSTER `main`
-- 0059_ids_of_days.sql
ALTER TABLE click_days
ALTER TABLE click_days_mv ON CLUSTER `main` MODIFY QUERY
ALTER TABLE click_days_of_page_views_mv ON CLUSTER `main` MODIFY QUERY
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.clicks_local LIGHTWEIGHT
INSERT INTO click_days (workspace, day, first_click, last_click)
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.page_views_local LIGHTWEIGHT
INSERT INTO click_days (workspace, day, first_page_view, last_page_view)
CREATE OR REPLACE VIEW clicks_by_dimension ON CLUSTER `main` AS
CREATE OR REPLACE VIEW activity ON CLUSTER `main` AS
-- 0063_paths_by_hash.sql
CREATE OR REPLACE VIEW sale_touches ON CLUSTER `main` AS
CREATE OR REPLACE VIEW channel_effects ON CLUSTER `main` AS
-- 0064_statements_of_affiliate.sql
CREATE OR REPLACE VIEW statements_of_affiliate ON CLUSTER `main` AS
-- 0067_facts_transferred.sql
ALTER TABLE facts ON CLUSTER `main`
-- 0069_pinned_views.sql
CREATE OR REPLACE VIEW people ON CLUSTER `main`
CREATE OR REPLACE VIEW sales ON CLUSTER `main`
CREATE OR REPLACE VIEW earnings ON CLUSTER `main`
CREATE OR REPLACE VIEW reporting_rates ON CLUSTER `main` AS
CREATE OR REPLACE VIEW spend_shown ON CLUSTER `main` AS
-- 0070_first_sales.sql
CREATE TABLE IF NOT EXISTS first_sales ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', computed_at)
CREATE TABLE IF NOT EXISTS payments_written ON CLUSTER `main`
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}')
CREATE MATERIALIZED VIEW IF NOT EXISTS payments_written_mv ON CLUSTER `main` TO payments_written
-- 0071_facts_begun.sql
ALTER TABLE facts ON CLUSTER `main`
-- 0072_invoice_periods.sql
CREATE TABLE IF NOT EXISTS invoice_periods ON CLUSTER `main`
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', version)
CREATE MATERIALIZED VIEW IF NOT EXISTS invoice_periods_mv ON CLUSTER `main` TO invoice_periods
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.stripe_events LIGHTWEIGHT
INSERT INTO invoice_periods (workspace, livemode, invoice_id, nets, days, total, version)
-- 0073_lines_of_invoices.sql
ALTER TABLE invoice_periods
ALTER TABLE invoice_periods_mv ON CLUSTER `main` MODIFY QUERY
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.stripe_events LIGHTWEIGHT
INSERT INTO invoice_periods (workspace, livemode, invoice_id, whole, shipping, more, lines, version)
ALTER TABLE invoice_periods
-- 0074_paths_by_sorting.sql
CREATE OR REPLACE VIEW channel_effects ON CLUSTER `main` AS
-- 0077_paid_by_balance.sql
ALTER TABLE invoice_periods
ALTER TABLE invoice_periods_mv ON CLUSTER `main` MODIFY QUERY
SYSTEM SYNC REPLICA ON CLUSTER `main` `tributary`.stripe_events LIGHTWEIGHT
INSERT INTO invoice_periods
-- 0078_comments_of_status.sql
ALTER TABLE pipeline_status ON CLUSTER `main`
ALTER TABLE facts ON CLUSTER `main`
-- 0085_first_sale_of_earnings.sql
CREATE OR REPLACE VIEW earnings ON CLUSTER `main`
-- 0090_fewer_merges.sql
ALTER TABLE stripe_events ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
ALTER TABLE facts ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
ALTER TABLE identities ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
ALTER TABLE ledger ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
ALTER TABLE ledger_log ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
ALTER TABLE ledger_written ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
ALTER TABLE revenue_days ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
ALTER TABLE payments_written ON CLUSTER `main` MODIFY SETTING merge_selector_base = 10
-- 0094_comment_of_requests.sql
ALTER TABLE deferred_names ON CLUSTER `main`
-- 0095_texts_in_one_stream.sql
ALTER TABLE clicks_local ON CLUSTER `main` MODIFY SETTING string_serialization_version = 'single_stream'
-- 0098_parts_of_nothing.sql
CREATE OR REPLACE VIEW activity ON CLUSTER `main` AS
-- 0103_credit_notes_of_invoices.sql
ALTER TABLE facts
-- 0106_inserts_in_one_file.sql
ALTER TABLE clicks_local ON CLUSTER `main` MODIFY SETTING min_level_for_wide_part = 1
-- 0127_one_closing_after_another.sql
ALTER TABLE earning_months ON CLUSTER `main` MODIFY SETTING non_replicated_deduplication_window = 1000, replicated_deduplication_window = 10000
-- 0130_earnings_on_the_disk.sql
ALTER TABLE earning_rules ON CLUSTER `main` MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
ALTER TABLE earning_months ON CLUSTER `main` MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
ALTER TABLE earning_lines ON CLUSTER `main` MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
ALTER TABLE spend ON CLUSTER `main` MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
-- 0137_hashes_of_sales.sql
ALTER TABLE revenue
ALTER TABLE revenue MATERIALIZE COLUMN sale
ALTER TABLE first_sales
