-- +goose Up
CREATE TABLE IF NOT EXISTS facts
(
    workspace            LowCardinality(String) COMMENT 'The account''s workspace',
    object_id            String COMMENT 'Stripe object under which this source books the movement: in_…, pi_…, cs_…, ch_…, re_…',
    kind                 LowCardinality(String) COMMENT 'payment, refund, refund_reversal, refunded_total, dispute, dispute_reversal',
    source               LowCardinality(String) COMMENT 'Object that told it: invoice, session, invoice_payment, payment_intent, charge, refund, dispute',
    event_id             String COMMENT 'evt_… that told it',
    account              LowCardinality(String) COMMENT 'acct_… of a connected account; empty for the platform''s own',
    livemode             Bool COMMENT 'false: test mode',
    event_created        DateTime('UTC') COMMENT 'When Stripe made the event',
    received_at          DateTime64(3, 'UTC') COMMENT 'When the edge took it',
    occurred_at          DateTime64(3, 'UTC') COMMENT 'When the money moved, as this source knows it',
    parent_id            String COMMENT 'Object of the sale that a refund or dispute belongs to (pi_… or ch_…); empty for payments',
    settled              Bool COMMENT 'true: certainly a movement of its own; false: to be held until known',
    currency             LowCardinality(String) COMMENT 'Lower case',
    amount               Int64 COMMENT 'Minor units, signed: money out is negative. For refunded_total the cumulative figure, positive',
    tax                  Int64 COMMENT 'Minor units, signed, contained in amount',
    shipping             Int64 COMMENT 'Minor units, signed, contained in amount',
    discount             Int64 COMMENT 'Minor units, signed, not contained in amount',
    customer_id          String COMMENT 'cus_…; empty for a guest',
    external_customer_id String COMMENT 'The buyer''s id in the seller''s database, where this event named it',
    subscription_id      String COMMENT 'sub_…; empty if none',
    billing_reason       LowCardinality(String) COMMENT 'Stripe''s billing_reason; empty if none',
    version              UInt64 COMMENT 'Inverse of received_at: the first telling stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, object_id, kind, source, event_id)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What each Stripe event says about money, a grow-only set. A ledger entry is computed from all facts of its movement';

CREATE TABLE IF NOT EXISTS identities
(
    workspace   LowCardinality(String) COMMENT 'Names match within one workspace only',
    key         String COMMENT 'Name: type:value, of object, customer, subscription, external, reference, click, affiliate, promotion, email or lead',
    target      String COMMENT 'What it is another name of, or leads to, in the same form',
    source      LowCardinality(String) COMMENT 'Field or event that said so',
    at          DateTime64(3, 'UTC') COMMENT 'When it became true, by the source''s own clock',
    version     UInt64 COMMENT 'Inverse of at: the first telling stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, key, target)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every known name of a buyer or a sale, a grow-only set of edges, each stored in both directions';

CREATE TABLE IF NOT EXISTS ledger
(
    workspace            LowCardinality(String) COMMENT 'The account''s workspace',
    entry_id             FixedString(16) COMMENT 'Hash of account, object_id and kind: one movement of money is one entry',
    account              LowCardinality(String) COMMENT 'acct_… of a connected account; empty for the platform''s own',
    livemode             Bool COMMENT 'false: test mode, never in live totals',
    day                  Date COMMENT 'UTC day of occurred_at; a better source may refine it',
    kind                 Enum8('payment' = 1, 'refund' = 2, 'refund_reversal' = 3, 'dispute' = 4, 'dispute_reversal' = 5) COMMENT 'What moved',
    object_id            String COMMENT 'Canonical Stripe object of the movement',
    sale_id              String COMMENT 'Canonical object of the sale that it belongs to',
    occurred_at          DateTime64(3, 'UTC') COMMENT 'When the money moved, by the best source known',
    received_at          DateTime64(3, 'UTC') COMMENT 'When the edge took the event that describes it',
    customer_id          String COMMENT 'cus_…; empty for a guest',
    external_customer_id String COMMENT 'The buyer''s id in the seller''s database; empty if unknown',
    subscription_id      String COMMENT 'sub_…; empty if none',
    billing_reason       LowCardinality(String) COMMENT 'Stripe''s billing_reason; empty if none',
    currency             LowCardinality(String) COMMENT 'Lower case, as Stripe sent it',
    amount               Int64 COMMENT 'Minor units as Stripe sent them; signed: money out is negative',
    tax                  Int64 COMMENT 'Minor units, signed, contained in amount',
    tax_derived          Bool COMMENT 'true: a refund''s share of the sale''s tax, pro rata, because Stripe does not say it',
    shipping             Int64 COMMENT 'Minor units, signed, contained in amount',
    discount             Int64 COMMENT 'Minor units, signed, not contained in amount',
    amount_usd           Nullable(Decimal(18, 6)) COMMENT 'amount in USD, exact, rounded once, half to even; NULL without a rate',
    net_usd              Nullable(Decimal(18, 6)) COMMENT '(amount - tax) in USD, in the same way',
    fx_rate              Nullable(Decimal(38, 18)) COMMENT 'USD per major unit',
    fx_date              Nullable(Date) COMMENT 'Day of the rate',
    fx_source            LowCardinality(String) COMMENT 'Where the rate is from; usd: no conversion; empty: no rate yet',
    fx_final             Bool COMMENT 'false: a later rate may replace this one',
    click_id             FixedString(16) COMMENT 'The credited click; zero when no single click is known',
    clicked_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was clicked',
    link_id              String COMMENT 'Copied from the click',
    affiliate_id         String COMMENT 'Copied from the click, or named by the sale itself',
    program_id           LowCardinality(String) COMMENT 'Copied from the click',
    visitor_id           String COMMENT 'Copied from the click',
    utm_source           LowCardinality(String) COMMENT 'Copied from the click',
    utm_medium           LowCardinality(String) COMMENT 'Copied from the click',
    utm_campaign         LowCardinality(String) COMMENT 'Copied from the click',
    utm_term             String COMMENT 'Copied from the click',
    utm_content          String COMMENT 'Copied from the click',
    channel              LowCardinality(String) COMMENT 'Copied from the click',
    country              LowCardinality(String) COMMENT 'Copied from the click',
    device               LowCardinality(String) COMMENT 'Copied from the click',
    match_rule           LowCardinality(String) COMMENT 'Why: click_id, external_customer, stripe_customer, subscription, affiliate, promotion_code, email, sale, manual; none: not attributed',
    match_key            String COMMENT 'The name that led to the click or affiliate',
    match_candidates     Array(String) COMMENT 'Everything else that could have been credited, rule:target, best first',
    status               Enum8('booked' = 1, 'held' = 2, 'superseded' = 3) COMMENT 'held: seen, not certain to be a movement of its own; superseded: booked under another object',
    superseded_by        String COMMENT 'Canonical object under which the movement is booked instead; amounts are then zero',
    version              UInt128 COMMENT 'From content alone (processor/join): equal versions mean equal rows'
)
ENGINE = ReplacingMergeTree(version)
-- No time in the key and no partition: sources of one movement disagree about time, and a row whose key moved would be counted twice.
ORDER BY (workspace, entry_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'The money with its attribution. Read it through ledger_current';

CREATE VIEW IF NOT EXISTS ledger_current AS
SELECT * FROM ledger FINAL WHERE status = 'booked';

CREATE TABLE IF NOT EXISTS ledger_log AS ledger
ENGINE = ReplacingMergeTree
ORDER BY (workspace, entry_id, version)
COMMENT 'Every version of every entry ever written: the story that explain tells';

CREATE MATERIALIZED VIEW IF NOT EXISTS ledger_log_mv TO ledger_log AS SELECT * FROM ledger;

CREATE TABLE IF NOT EXISTS revenue
(
    workspace    LowCardinality(String) COMMENT 'As in ledger',
    entry_id     FixedString(16) COMMENT 'As in ledger',
    livemode     Bool COMMENT 'As in ledger',
    day          Date COMMENT 'As in ledger',
    occurred_at  DateTime64(3, 'UTC') COMMENT 'As in ledger',
    kind         LowCardinality(String) COMMENT 'As in ledger',
    status       LowCardinality(String) COMMENT 'As in ledger; sum booked only',
    object_id    String COMMENT 'As in ledger',
    sale_id      String COMMENT 'As in ledger',
    billing_reason LowCardinality(String) COMMENT 'As in ledger',
    currency     LowCardinality(String) COMMENT 'As in ledger',
    amount       Int64 COMMENT 'As in ledger',
    amount_usd   Nullable(Decimal(18, 6)) COMMENT 'As in ledger',
    net_usd      Nullable(Decimal(18, 6)) COMMENT 'As in ledger',
    fx_source    LowCardinality(String) COMMENT 'As in ledger; empty: no rate yet',
    click_id     FixedString(16) COMMENT 'As in ledger',
    clicked_at   Nullable(DateTime64(3, 'UTC')) COMMENT 'As in ledger',
    program_id   LowCardinality(String) COMMENT 'As in ledger',
    affiliate_id String COMMENT 'As in ledger',
    link_id      String COMMENT 'As in ledger',
    utm_campaign LowCardinality(String) COMMENT 'As in ledger',
    country      LowCardinality(String) COMMENT 'As in ledger',
    match_rule   LowCardinality(String) COMMENT 'As in ledger',
    match_key    String COMMENT 'As in ledger',
    version      UInt128 COMMENT 'As in ledger'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, entry_id)
COMMENT 'The ledger''s narrow copy for dashboards; read with FINAL and status = booked';

CREATE MATERIALIZED VIEW IF NOT EXISTS revenue_mv TO revenue AS
SELECT workspace, entry_id, livemode, day, occurred_at, kind, status, object_id, sale_id, billing_reason, currency, amount,
       amount_usd, net_usd, fx_source, click_id, clicked_at, program_id, affiliate_id, link_id, utm_campaign, country,
       match_rule, match_key, version
FROM ledger;
