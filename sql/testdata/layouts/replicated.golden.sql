-- 0001_clicks.sql
CREATE TABLE IF NOT EXISTS clicks
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS clicks_hourly
ENGINE = ReplicatedAggregatingMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_hourly_mv TO clicks_hourly AS
-- 0002_raw.sql
CREATE TABLE IF NOT EXISTS stripe_events
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS dead_letters
ENGINE = ReplicatedReplacingMergeTree
CREATE TABLE IF NOT EXISTS fx_rates
ENGINE = ReplicatedReplacingMergeTree(fetched_at)
-- 0003_ledger.sql
CREATE TABLE IF NOT EXISTS facts
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS identities
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS ledger
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE VIEW IF NOT EXISTS ledger_current AS
CREATE TABLE IF NOT EXISTS ledger_log AS ledger
ENGINE = ReplicatedReplacingMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS ledger_log_mv TO ledger_log AS SELECT * FROM ledger
CREATE TABLE IF NOT EXISTS revenue
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE MATERIALIZED VIEW IF NOT EXISTS revenue_mv TO revenue AS
-- 0004_leads.sql
CREATE TABLE IF NOT EXISTS leads
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS leads_attributed
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE MATERIALIZED VIEW IF NOT EXISTS leads_attributed_mv TO leads_attributed AS
CREATE VIEW IF NOT EXISTS funnel AS
-- 0005_clicks_minutely.sql
CREATE TABLE IF NOT EXISTS clicks_minutely
ENGINE = ReplicatedAggregatingMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_minutely_mv TO clicks_minutely AS
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
CREATE TABLE IF NOT EXISTS erasures
ENGINE = ReplicatedReplacingMergeTree
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
CREATE OR REPLACE VIEW ledger_current AS
CREATE OR REPLACE VIEW funnel AS
CREATE TABLE IF NOT EXISTS ledger_rules
ENGINE = ReplicatedReplacingMergeTree(since)
-- 0011_trust.sql
ALTER TABLE clicks ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT false
DROP TABLE IF EXISTS clicks_anew SYNC
CREATE TABLE clicks_anew AS clicks
ENGINE = ReplicatedReplacingMergeTree(version)
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO clicks_anew SELECT * FROM clicks SETTINGS max_partitions_per_insert_block = 0
EXCHANGE TABLES clicks_anew AND clicks
DROP TABLE clicks_anew SYNC
CREATE TABLE IF NOT EXISTS first_names
ENGINE = ReplicatedReplacingMergeTree(version)
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO first_names
ALTER TABLE identities MODIFY COLUMN key String
SYSTEM SYNC REPLICA `tributary`.first_names LIGHTWEIGHT
INSERT INTO identities (workspace, key, target, source, at, version)
ALTER TABLE identities DELETE WHERE source IN ('click.foreign_id', 'click.affiliate_id') AND NOT startsWith(key, 'public:') AND NOT startsWith(target, 'public:') SETTINGS mutations_sync = 2
ALTER TABLE leads ADD COLUMN IF NOT EXISTS livemode Bool DEFAULT true
ALTER TABLE leads ADD COLUMN IF NOT EXISTS person String
ALTER TABLE leads MODIFY COLUMN match_rule LowCardinality(String)
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS livemode Bool DEFAULT true
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS person String
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS event_name LowCardinality(String)
ALTER TABLE leads_attributed_mv MODIFY QUERY
CREATE OR REPLACE VIEW people AS
CREATE OR REPLACE VIEW funnel AS
-- 0015_page_views.sql
CREATE TABLE IF NOT EXISTS page_views
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS page_views_hourly
ENGINE = ReplicatedAggregatingMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS page_views_hourly_mv TO page_views_hourly AS
CREATE TABLE IF NOT EXISTS clicks_by_visitor
ENGINE = ReplicatedReplacingMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_visitor_mv TO clicks_by_visitor AS
CREATE OR REPLACE VIEW clicks_counted AS
CREATE OR REPLACE VIEW clicks_daily AS
CREATE OR REPLACE VIEW funnel AS
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO page_views
ALTER TABLE clicks DELETE WHERE trigger = 'pageview' SETTINGS mutations_sync = 2
ALTER TABLE clicks MODIFY COLUMN trigger LowCardinality(String)
ALTER TABLE clicks_hourly MODIFY COLUMN clicks AggregateFunction(uniqCombined64, FixedString(16))
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO clicks_by_visitor
DROP TABLE IF EXISTS clicks_hourly_rebuilt SYNC
CREATE TABLE clicks_hourly_rebuilt AS clicks_hourly
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO clicks_hourly_rebuilt
EXCHANGE TABLES clicks_hourly_rebuilt AND clicks_hourly
DROP TABLE clicks_hourly_rebuilt SYNC
DROP TABLE IF EXISTS clicks_minutely_rebuilt SYNC
CREATE TABLE clicks_minutely_rebuilt AS clicks_minutely
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO clicks_minutely_rebuilt
EXCHANGE TABLES clicks_minutely_rebuilt AND clicks_minutely
DROP TABLE clicks_minutely_rebuilt SYNC
-- 0016_names.sql
ALTER TABLE stripe_events MODIFY COLUMN workspace LowCardinality(String)
ALTER TABLE ledger MODIFY COLUMN workspace LowCardinality(String)
ALTER TABLE ledger MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3)
ALTER TABLE ledger_log MODIFY COLUMN status Enum8('booked' = 1, 'held' = 2, 'superseded' = 3)
ALTER TABLE ledger MODIFY COLUMN superseded_by String
CREATE TABLE IF NOT EXISTS deferred_names
ENGINE = ReplicatedReplacingMergeTree(done)
-- 0017_clicks_granules.sql
CREATE TABLE IF NOT EXISTS clicks_0017 AS clicks
ALTER TABLE clicks ATTACH PARTITION ALL FROM clicks_0017
DROP TABLE clicks_0017 SETTINGS max_table_size_to_drop = 0
CREATE TABLE clicks_0017
ENGINE = ReplicatedReplacingMergeTree(version)
ALTER TABLE clicks_0017 ATTACH PARTITION ALL FROM clicks
EXCHANGE TABLES clicks AND clicks_0017
SYSTEM SYNC REPLICA `tributary`.clicks_0017 LIGHTWEIGHT
INSERT INTO clicks SELECT * FROM clicks_0017 WHERE _part IN
DROP TABLE clicks_0017 SETTINGS max_table_size_to_drop = 0
-- 0018_click_days.sql
ALTER TABLE clicks
ALTER TABLE clicks MATERIALIZE COLUMN visitor_link
ALTER TABLE page_views
ALTER TABLE clicks ADD INDEX IF NOT EXISTS by_time clicked_at TYPE minmax GRANULARITY 1
ALTER TABLE clicks MATERIALIZE INDEX by_time SETTINGS mutations_sync = 2
ALTER TABLE page_views ADD INDEX IF NOT EXISTS by_time viewed_at TYPE minmax GRANULARITY 1
ALTER TABLE page_views MATERIALIZE INDEX by_time SETTINGS mutations_sync = 2
CREATE TABLE IF NOT EXISTS click_days
ENGINE = ReplicatedAggregatingMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS click_days_mv TO click_days AS
CREATE MATERIALIZED VIEW IF NOT EXISTS click_days_of_page_views_mv TO click_days AS
CREATE TABLE IF NOT EXISTS clicks_by_day
ENGINE = ReplicatedReplacingMergeTree(computed_at)
DROP TABLE IF EXISTS clicks_hourly_mv SYNC
DROP TABLE IF EXISTS clicks_minutely_mv SYNC
DROP TABLE IF EXISTS clicks_by_visitor_mv SYNC
DROP TABLE IF EXISTS page_views_hourly_mv SYNC
DROP TABLE IF EXISTS clicks_hourly SYNC
DROP TABLE IF EXISTS clicks_minutely SYNC
DROP TABLE IF EXISTS clicks_by_visitor SYNC
DROP TABLE IF EXISTS page_views_hourly SYNC
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO click_days (workspace, day, changed_at, last_click_received)
SYSTEM SYNC REPLICA `tributary`.page_views LIGHTWEIGHT
INSERT INTO click_days (workspace, day, changed_at, last_page_view_received)
CREATE OR REPLACE VIEW clicks_counted AS
CREATE OR REPLACE VIEW clicks_by_dimension AS
CREATE OR REPLACE VIEW clicks_daily
CREATE OR REPLACE VIEW clicks_hourly
CREATE OR REPLACE VIEW page_views_hourly
-- 0019_revenue_by_time.sql
CREATE TABLE IF NOT EXISTS revenue_days
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE MATERIALIZED VIEW IF NOT EXISTS revenue_days_mv TO revenue_days AS
DROP TABLE IF EXISTS revenue_rebuilt SYNC
CREATE TABLE revenue_rebuilt
ENGINE = ReplicatedReplacingMergeTree(version, moved)
SYSTEM SYNC REPLICA `tributary`.ledger_log LIGHTWEIGHT
INSERT INTO revenue_days
SYSTEM SYNC REPLICA `tributary`.ledger LIGHTWEIGHT
INSERT INTO revenue_days
SYSTEM SYNC REPLICA `tributary`.ledger LIGHTWEIGHT
INSERT INTO revenue_rebuilt
EXCHANGE TABLES revenue_rebuilt AND revenue
DROP TABLE revenue_rebuilt SYNC
ALTER TABLE revenue_mv MODIFY QUERY
CREATE OR REPLACE VIEW sales
CREATE OR REPLACE VIEW customers
CREATE OR REPLACE VIEW affiliates
CREATE OR REPLACE VIEW links
CREATE OR REPLACE VIEW channels
-- 0020_questions.sql
CREATE VIEW IF NOT EXISTS sale_touches AS
CREATE VIEW IF NOT EXISTS channel_effects AS
CREATE VIEW IF NOT EXISTS reporting_rates AS
CREATE VIEW IF NOT EXISTS activity AS
CREATE TABLE IF NOT EXISTS spend
ENGINE = ReplicatedReplacingMergeTree(loaded_at)
CREATE VIEW IF NOT EXISTS spend_shown AS
CREATE TABLE IF NOT EXISTS ledger_written
ENGINE = ReplicatedAggregatingMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS ledger_written_mv TO ledger_written AS
SYSTEM SYNC REPLICA `tributary`.ledger_log LIGHTWEIGHT
INSERT INTO ledger_written (workspace, entry_id, version, written_at)
-- 0021_earnings.sql
CREATE TABLE IF NOT EXISTS earning_rules
ENGINE = ReplicatedReplacingMergeTree
CREATE TABLE IF NOT EXISTS earning_months
ENGINE = ReplicatedReplacingMergeTree
CREATE TABLE IF NOT EXISTS earning_lines
ENGINE = ReplicatedReplacingMergeTree
CREATE VIEW IF NOT EXISTS earnings AS
CREATE VIEW IF NOT EXISTS statement_lines AS
CREATE VIEW IF NOT EXISTS statements AS
-- 0022_places.sql
ALTER TABLE clicks
ALTER TABLE page_views
-- 0023_vouched_leads.sql
ALTER TABLE leads ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT true
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS vouched Bool DEFAULT true
ALTER TABLE leads_attributed_mv MODIFY QUERY
SYSTEM SYNC REPLICA `tributary`.leads LIGHTWEIGHT
SYSTEM SYNC REPLICA `tributary`.identities LIGHTWEIGHT
INSERT INTO leads
CREATE OR REPLACE VIEW people
CREATE VIEW IF NOT EXISTS public_leads
CREATE OR REPLACE VIEW funnel
-- 0024_dead_letters_record_at.sql
ALTER TABLE dead_letters
-- 0025_arrivals.sql
CREATE OR REPLACE VIEW clicks_counted AS
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO click_days (workspace, day, changed_at)
-- 0026_counted_clicks.sql
ALTER TABLE clicks_by_day
ALTER TABLE click_days
CREATE OR REPLACE VIEW clicks_by_dimension AS
CREATE OR REPLACE VIEW activity AS
-- 0027_ledger_current.sql
CREATE OR REPLACE VIEW ledger_current
-- 0028_pipeline_status.sql
CREATE TABLE IF NOT EXISTS pipeline_status
ENGINE = ReplicatedReplacingMergeTree(at)
-- 0029_facts_terms.sql
ALTER TABLE facts
-- 0030_facts_kinds.sql
ALTER TABLE facts
-- 0031_lead_times.sql
ALTER TABLE leads ADD COLUMN IF NOT EXISTS occurred_at DateTime64(3, 'UTC') DEFAULT received_at
ALTER TABLE leads_attributed ADD COLUMN IF NOT EXISTS occurred_at DateTime64(3, 'UTC') DEFAULT received_at
ALTER TABLE leads_attributed_mv MODIFY QUERY
CREATE OR REPLACE VIEW people
CREATE OR REPLACE VIEW public_leads
-- 0032_comments.sql
ALTER TABLE earnings
ALTER TABLE ledger
ALTER TABLE ledger_log
ALTER TABLE ledger_current
-- 0033_touches.sql
CREATE OR REPLACE VIEW sale_touches AS
CREATE OR REPLACE VIEW channel_effects AS
-- 0034_revised_rates.sql
ALTER TABLE fx_rates ADD COLUMN IF NOT EXISTS revised_at DateTime64(3, 'UTC')
-- 0036_answers.sql
CREATE OR REPLACE VIEW clicks_counted AS
CREATE OR REPLACE VIEW clicks_by_dimension AS
ALTER TABLE affiliates MODIFY
ALTER TABLE channels MODIFY
ALTER TABLE click_days_mv MODIFY
ALTER TABLE click_days_of_page_views_mv MODIFY
ALTER TABLE clicks_daily MODIFY
ALTER TABLE clicks_hourly MODIFY
ALTER TABLE customers MODIFY
ALTER TABLE leads_attributed_mv MODIFY
ALTER TABLE ledger_log_mv MODIFY
ALTER TABLE ledger_written_mv MODIFY
ALTER TABLE links MODIFY
ALTER TABLE page_views_hourly MODIFY
ALTER TABLE revenue_days_mv MODIFY
ALTER TABLE revenue_mv MODIFY
ALTER TABLE sales MODIFY
-- 0037_vouched_clicks.sql
ALTER TABLE clicks
-- 0038_words.sql
ALTER TABLE facts
ALTER TABLE first_names
ALTER TABLE first_names MODIFY
ALTER TABLE identities
ALTER TABLE leads
ALTER TABLE ledger_log MODIFY
-- 0040_activity.sql
CREATE OR REPLACE VIEW activity AS
-- 0041_click_bytes.sql
ALTER TABLE clicks
ALTER TABLE page_views
-- 0042_stated_tax.sql
ALTER TABLE facts
-- 0045_late_clicks.sql
ALTER TABLE click_days_mv MODIFY QUERY
ALTER TABLE click_days COMMENT COLUMN changed_at 'When something was last inserted that may change this day: a click or page view of it, a click of the day before, or one under an id of either. Read with max'
-- 0046_open_clicks.sql
CREATE OR REPLACE VIEW activity AS
CREATE OR REPLACE VIEW clicks_by_dimension AS
-- 0047_products.sql
ALTER TABLE facts
ALTER TABLE ledger_log
ALTER TABLE revenue
ALTER TABLE ledger
ALTER TABLE ledger_log_mv MODIFY QUERY
ALTER TABLE revenue_mv MODIFY QUERY
CREATE OR REPLACE VIEW ledger_current
CREATE OR REPLACE VIEW activity AS
-- 0048_first_sales_and_paths.sql
ALTER TABLE revenue
ALTER TABLE revenue MATERIALIZE COLUMN buyer
CREATE OR REPLACE VIEW activity AS
CREATE OR REPLACE VIEW channel_effects AS
-- 0049_invoice_due.sql
ALTER TABLE facts
-- 0053_first_reports.sql
CREATE OR REPLACE VIEW people
CREATE OR REPLACE VIEW public_leads
-- 0054_open_page_views.sql
CREATE OR REPLACE VIEW clicks_by_dimension AS
-- 0055_sold_touches.sql
CREATE OR REPLACE VIEW sale_touches AS
-- 0056_earnings_by_product.sql
ALTER TABLE earning_lines
CREATE OR REPLACE VIEW earnings
CREATE OR REPLACE VIEW statement_lines AS
CREATE OR REPLACE VIEW statements AS
-- 0057_first_payment.sql
CREATE OR REPLACE VIEW sales
-- 0058_day_rates_and_names.sql
CREATE TABLE IF NOT EXISTS day_rates
ENGINE = ReplicatedReplacingMergeTree(written_at)
CREATE OR REPLACE VIEW reporting_rates AS
CREATE OR REPLACE VIEW spend_shown AS
CREATE OR REPLACE VIEW product_names
-- 0059_ids_of_days.sql
ALTER TABLE click_days
ALTER TABLE click_days_mv MODIFY QUERY
ALTER TABLE click_days_of_page_views_mv MODIFY QUERY
SYSTEM SYNC REPLICA `tributary`.clicks LIGHTWEIGHT
INSERT INTO click_days (workspace, day, first_click, last_click)
SYSTEM SYNC REPLICA `tributary`.page_views LIGHTWEIGHT
INSERT INTO click_days (workspace, day, first_page_view, last_page_view)
CREATE OR REPLACE VIEW clicks_by_dimension AS
CREATE OR REPLACE VIEW activity AS
-- 0063_paths_by_hash.sql
CREATE OR REPLACE VIEW sale_touches AS
CREATE OR REPLACE VIEW channel_effects AS
-- 0064_statements_of_affiliate.sql
CREATE OR REPLACE VIEW statements_of_affiliate AS
-- 0067_facts_transferred.sql
ALTER TABLE facts
-- 0069_pinned_views.sql
CREATE OR REPLACE VIEW people
CREATE OR REPLACE VIEW sales
CREATE OR REPLACE VIEW earnings
CREATE OR REPLACE VIEW reporting_rates AS
CREATE OR REPLACE VIEW spend_shown AS
-- 0070_first_sales.sql
CREATE TABLE IF NOT EXISTS first_sales
ENGINE = ReplicatedReplacingMergeTree(computed_at)
CREATE TABLE IF NOT EXISTS payments_written
ENGINE = ReplicatedMergeTree
CREATE MATERIALIZED VIEW IF NOT EXISTS payments_written_mv TO payments_written
-- 0071_facts_begun.sql
ALTER TABLE facts
-- 0072_invoice_periods.sql
CREATE TABLE IF NOT EXISTS invoice_periods
ENGINE = ReplicatedReplacingMergeTree(version)
CREATE MATERIALIZED VIEW IF NOT EXISTS invoice_periods_mv TO invoice_periods
SYSTEM SYNC REPLICA `tributary`.stripe_events LIGHTWEIGHT
INSERT INTO invoice_periods (workspace, livemode, invoice_id, nets, days, total, version)
-- 0073_lines_of_invoices.sql
ALTER TABLE invoice_periods
ALTER TABLE invoice_periods_mv MODIFY QUERY
SYSTEM SYNC REPLICA `tributary`.stripe_events LIGHTWEIGHT
INSERT INTO invoice_periods (workspace, livemode, invoice_id, whole, shipping, more, lines, version)
ALTER TABLE invoice_periods
-- 0074_paths_by_sorting.sql
CREATE OR REPLACE VIEW channel_effects AS
-- 0077_paid_by_balance.sql
ALTER TABLE invoice_periods
ALTER TABLE invoice_periods_mv MODIFY QUERY
SYSTEM SYNC REPLICA `tributary`.stripe_events LIGHTWEIGHT
INSERT INTO invoice_periods
-- 0078_comments_of_status.sql
ALTER TABLE pipeline_status
ALTER TABLE facts
-- 0085_first_sale_of_earnings.sql
CREATE OR REPLACE VIEW earnings
-- 0090_fewer_merges.sql
ALTER TABLE stripe_events MODIFY SETTING merge_selector_base = 10
ALTER TABLE facts MODIFY SETTING merge_selector_base = 10
ALTER TABLE identities MODIFY SETTING merge_selector_base = 10
ALTER TABLE ledger MODIFY SETTING merge_selector_base = 10
ALTER TABLE ledger_log MODIFY SETTING merge_selector_base = 10
ALTER TABLE ledger_written MODIFY SETTING merge_selector_base = 10
ALTER TABLE revenue_days MODIFY SETTING merge_selector_base = 10
ALTER TABLE payments_written MODIFY SETTING merge_selector_base = 10
-- 0094_comment_of_requests.sql
ALTER TABLE deferred_names
-- 0095_texts_in_one_stream.sql
ALTER TABLE clicks MODIFY SETTING string_serialization_version = 'single_stream'
-- 0098_parts_of_nothing.sql
CREATE OR REPLACE VIEW activity AS
-- 0103_credit_notes_of_invoices.sql
ALTER TABLE facts
-- 0106_inserts_in_one_file.sql
ALTER TABLE clicks MODIFY SETTING min_level_for_wide_part = 1
-- 0127_one_closing_after_another.sql
ALTER TABLE earning_months MODIFY SETTING non_replicated_deduplication_window = 1000, replicated_deduplication_window = 10000
-- 0130_earnings_on_the_disk.sql
ALTER TABLE earning_rules MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
ALTER TABLE earning_months MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
ALTER TABLE earning_lines MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
ALTER TABLE spend MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1
-- 0137_hashes_of_sales.sql
ALTER TABLE revenue
ALTER TABLE revenue MATERIALIZE COLUMN sale
ALTER TABLE first_sales
