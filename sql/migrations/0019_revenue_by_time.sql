-- +goose Up
-- Money by time: revenue gets the day into its key, so that a question about a month reads a month's entries and not the whole ledger's. A
-- day is not an entry's identity: a better source may refine it, and a row whose key moved would be counted twice. So whoever stores an
-- entry looks up afterwards under which days it is known, and stores a row with `moved` on each other one: of two writers that store
-- two versions at the same time, the one that looks up last sees both. FINAL leaves such rows out.
CREATE TABLE IF NOT EXISTS revenue_days
(
    workspace LowCardinality(String) COMMENT 'As in ledger',
    entry_id  FixedString(16) COMMENT 'As in ledger',
    livemode  Bool COMMENT 'As in ledger',
    day       Date COMMENT 'A day that a version of the entry has',
    version   UInt128 COMMENT 'The greatest version with this day'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, entry_id, livemode, day)
SETTINGS index_granularity = 256
COMMENT 'Under which days each entry is or was in revenue; nearly all have one';

CREATE MATERIALIZED VIEW IF NOT EXISTS revenue_days_mv TO revenue_days AS
SELECT workspace, entry_id, livemode, day, version
FROM ledger;

DROP TABLE IF EXISTS revenue_rebuilt SYNC;
CREATE TABLE revenue_rebuilt
(
    workspace       LowCardinality(String) COMMENT 'As in ledger',
    livemode        Bool COMMENT 'As in ledger',
    day             Date COMMENT 'As in ledger: UTC day of occurred_at. Say it in the condition beside occurred_at: it is what keeps a question from reading everything',
    entry_id        FixedString(16) COMMENT 'As in ledger',
    occurred_at     DateTime64(3, 'UTC') COMMENT 'As in ledger',
    kind            LowCardinality(String) COMMENT 'As in ledger',
    status          LowCardinality(String) COMMENT 'As in ledger; sum booked only',
    object_id       String COMMENT 'As in ledger',
    sale_id         String COMMENT 'As in ledger',
    customer_id     String COMMENT 'As in ledger',
    external_customer_id String COMMENT 'As in ledger',
    subscription_id String COMMENT 'As in ledger',
    billing_reason  LowCardinality(String) COMMENT 'As in ledger',
    currency        LowCardinality(String) COMMENT 'As in ledger',
    amount          Int64 COMMENT 'As in ledger',
    tax             Int64 COMMENT 'As in ledger',
    amount_usd      Nullable(Decimal(18, 6)) COMMENT 'As in ledger',
    net_usd         Nullable(Decimal(18, 6)) COMMENT 'As in ledger',
    fx_source       LowCardinality(String) COMMENT 'As in ledger; empty: no rate yet',
    click_id        FixedString(16) COMMENT 'As in ledger',
    clicked_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'As in ledger',
    program_id      LowCardinality(String) COMMENT 'As in ledger',
    affiliate_id    String COMMENT 'As in ledger',
    link_id         String COMMENT 'As in ledger',
    utm_source      LowCardinality(String) COMMENT 'As in ledger',
    utm_medium      LowCardinality(String) COMMENT 'As in ledger',
    utm_campaign    LowCardinality(String) COMMENT 'As in ledger',
    channel         LowCardinality(String) COMMENT 'As in ledger',
    country         LowCardinality(String) COMMENT 'As in ledger',
    device          LowCardinality(String) COMMENT 'As in ledger',
    match_rule      LowCardinality(String) COMMENT 'As in ledger',
    match_key       String COMMENT 'As in ledger',
    version         UInt128 COMMENT 'As in ledger',
    moved           UInt8 DEFAULT 0 COMMENT '1: a later version of the entry has another day; FINAL leaves this row out'
)
ENGINE = ReplacingMergeTree(version, moved)
ORDER BY (workspace, livemode, day, entry_id)
COMMENT 'The ledger''s copy for dashboards, by time; read with FINAL and status = booked';

INSERT INTO revenue_days
SELECT workspace, entry_id, livemode, day, version
FROM ledger_log;
INSERT INTO revenue_days
SELECT workspace, entry_id, livemode, day, version
FROM ledger;

-- Made anew beside the live one and exchanged in one step. Processors must be stopped meanwhile.
INSERT INTO revenue_rebuilt
(workspace, livemode, day, entry_id, occurred_at, kind, status, object_id, sale_id, customer_id,
    external_customer_id, subscription_id, billing_reason, currency, amount, tax, amount_usd, net_usd, fx_source,
    click_id, clicked_at, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country,
    device, match_rule, match_key, version)
SELECT
    workspace, livemode, day, entry_id, occurred_at, kind, status, object_id, sale_id, customer_id,
    external_customer_id, subscription_id, billing_reason, currency, amount, tax, amount_usd, net_usd, fx_source,
    click_id, clicked_at, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country,
    device, match_rule, match_key, version
FROM ledger FINAL;
EXCHANGE TABLES revenue_rebuilt AND revenue;
DROP TABLE revenue_rebuilt SYNC;
ALTER TABLE revenue_mv MODIFY QUERY
SELECT
    workspace, livemode, day, entry_id, occurred_at, kind, status, object_id, sale_id, customer_id,
    external_customer_id, subscription_id, billing_reason, currency, amount, tax, amount_usd, net_usd, fx_source,
    click_id, clicked_at, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country,
    device, match_rule, match_key, version, 0 AS moved
FROM ledger;

-- Views for people: ids as text, one currency a row, and what belongs together in one row.
CREATE OR REPLACE VIEW sales
(
    workspace            LowCardinality(String) COMMENT 'The account''s workspace',
    livemode             Bool COMMENT 'false: test mode, never in one sum with live money',
    sale_id              String COMMENT 'The sale: the invoice if there is one, else the payment''s object',
    sold_at              DateTime64(3, 'UTC') COMMENT 'When its first payment was made, UTC',
    buyer                String COMMENT 'The buyer''s id in the seller''s database, else cus_…; empty for a guest',
    sale_of_buyer        UInt64 COMMENT '1: the buyer''s first sale, 2: the second …; by sold_at. A guest''s is always 1',
    renewal              Bool COMMENT 'true: a subscription''s later invoice (billing_reason subscription_cycle)',
    subscription_id      String COMMENT 'sub_…; empty if none',
    currency             LowCardinality(String) COMMENT 'Lower case',
    payments             UInt64 COMMENT 'How many payments it has: an invoice may be paid in parts',
    paid                 Int64 COMMENT 'Minor units of currency, tax included: what was paid',
    refunded             Int64 COMMENT 'Minor units, zero or negative: refunds, less those that failed',
    disputed             Int64 COMMENT 'Minor units, zero or negative: disputes, less what came back',
    net_usd              Nullable(Decimal(38, 6)) COMMENT 'USD without tax, refunds and disputes subtracted; empty while an entry of it has no rate',
    affiliate_id         String COMMENT 'Who is credited; empty: nobody',
    program_id           String COMMENT 'Affiliate programme; empty if none',
    link_id              String COMMENT 'Link of the credited click; empty if none',
    utm_source           String COMMENT 'Of the credited click; empty if none',
    utm_campaign         String COMMENT 'Of the credited click; empty if none',
    channel              LowCardinality(String) COMMENT 'Of the credited click; empty when no single click is known',
    country              LowCardinality(String) COMMENT 'Of the credited click, ISO 3166-1 alpha-2; empty if unknown',
    match_rule           LowCardinality(String) COMMENT 'Why it is credited so; none: not attributed',
    click_id             String COMMENT 'The credited click, as text; empty when no single click is known',
    clicked_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was clicked, UTC; empty when no single click is known',
    seconds_to_sale      Nullable(Int64) COMMENT 'Seconds from the click to the sale; empty when no single click is known'
)
AS SELECT
    workspace, livemode, sale_id, sold_at, buyer,
    if(buyer = '', 1, row_number() OVER (PARTITION BY workspace, livemode, buyer ORDER BY sold_at, sale_id)) AS sale_of_buyer,
    first.1 AS renewal, first.2 AS subscription_id, currency, payments, paid, refunded, disputed, net_usd,
    first.3 AS affiliate_id, first.4 AS program_id, first.5 AS link_id, first.6 AS utm_source, first.7 AS utm_campaign, first.8 AS channel, first.9 AS country,
    first.10 AS match_rule,
    if(first.11 = toFixedString('', 16), '', UUIDNumToString(first.11)) AS click_id,
    first.12 AS clicked_at,
    dateDiff('second', clicked_at, sold_at) AS seconds_to_sale
FROM
(
    SELECT
        workspace, livemode, sale_id, any(currency) AS currency,
        minIf(occurred_at, kind = 'payment') AS sold_at,
        argMinIf(if(external_customer_id != '', external_customer_id, customer_id), (occurred_at, object_id), kind = 'payment') AS buyer,
        argMinIf((billing_reason = 'subscription_cycle', subscription_id, affiliate_id, toString(program_id), link_id, toString(utm_source), toString(utm_campaign), channel, country,
            match_rule, click_id, clicked_at), (occurred_at, object_id), kind = 'payment') AS first,
        countIf(kind = 'payment') AS payments,
        sumIf(amount, kind = 'payment') AS paid,
        sumIf(amount, kind IN ('refund', 'refund_reversal')) AS refunded,
        sumIf(amount, kind IN ('dispute', 'dispute_reversal')) AS disputed,
        if(count() = count(net_usd), sum(net_usd), NULL) AS net_usd
    FROM revenue FINAL
    WHERE status = 'booked' AND amount != 0
    GROUP BY workspace, livemode, sale_id
    HAVING payments > 0
);

CREATE OR REPLACE VIEW customers
(
    workspace         LowCardinality(String) COMMENT 'The account''s workspace',
    livemode          Bool COMMENT 'false: test mode, never in one sum with live money',
    buyer             String COMMENT 'The buyer''s id in the seller''s database, else cus_…; guests are left out',
    first_clicked_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'The earliest click that a sale of the buyer is credited to, UTC; empty if none is',
    first_affiliate_id String COMMENT 'Who is credited with the first sale; empty: nobody',
    first_channel     LowCardinality(String) COMMENT 'Channel of the first sale''s click; empty if no single click is known',
    first_campaign    String COMMENT 'Campaign of the first sale''s click; empty if none',
    first_sale_at     DateTime64(3, 'UTC') COMMENT 'When the first sale was made, UTC',
    last_sale_at      DateTime64(3, 'UTC') COMMENT 'When the latest sale was made, UTC: when the buyer was last seen',
    orders            UInt64 COMMENT 'How many sales, renewals among them',
    lifetime_value_usd Nullable(Decimal(38, 6)) COMMENT 'USD without tax, refunds and disputes subtracted; empty while a sale has no rate'
)
AS SELECT
    workspace, livemode, buyer,
    min(clicked_at) AS first_clicked_at,
    argMin(affiliate_id, sale_of_buyer) AS first_affiliate_id,
    argMin(channel, sale_of_buyer) AS first_channel,
    argMin(utm_campaign, sale_of_buyer) AS first_campaign,
    min(sold_at) AS first_sale_at,
    max(sold_at) AS last_sale_at,
    count() AS orders,
    if(count() = count(net_usd), sum(net_usd), NULL) AS lifetime_value_usd
FROM sales
WHERE buyer != ''
GROUP BY workspace, livemode, buyer;

CREATE OR REPLACE VIEW affiliates
(
    workspace     LowCardinality(String) COMMENT 'Owner of the clicks and sales',
    affiliate_id  String COMMENT 'The affiliate',
    clicks        UInt64 COMMENT 'Clicks that count, of all time; of a day that is still changing, as of at most a quarter of an hour ago',
    visitors      UInt64 COMMENT 'Who came by these clicks; above 65,536 an estimate (about 0.4 %)',
    last_click_on Date COMMENT 'UTC day of the latest click; 1970-01-01: none',
    leads         UInt64 COMMENT 'Persons who signed up, each counted where it was first reported; live mode',
    sales         UInt64 COMMENT 'Sales that are credited, live mode',
    customers     UInt64 COMMENT 'First sales of buyers among them, guests included',
    refunded      UInt64 COMMENT 'Sales of which something was refunded',
    net_usd       Decimal(38, 6) COMMENT 'USD without tax, refunds and disputes subtracted; what has no rate yet is left out',
    last_sale_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'When the latest sale was made, UTC; empty: none'
)
AS SELECT workspace, affiliate_id, sum(c) AS clicks, sum(v) AS visitors, max(d) AS last_click_on, sum(l) AS leads, sum(s) AS sales, sum(f) AS customers, sum(r) AS refunded,
    sum(net) AS net_usd, max(at) AS last_sale_at
FROM
(
    SELECT workspace, value AS affiliate_id, sum(clicks) AS c, uniqMerge(visitors) AS v, maxIf(day, clicks > 0) AS d, toUInt64(0) AS l, toUInt64(0) AS s, toUInt64(0) AS f, toUInt64(0) AS r,
        toDecimal128(0, 6) AS net, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS at
    FROM clicks_by_day FINAL
    WHERE dimension = 'affiliate'
    GROUP BY workspace, value
    UNION ALL
    SELECT workspace, affiliate_id, 0, 0, toDate(0), sum(quantity), 0, 0, 0, toDecimal128(0, 6), NULL FROM people WHERE livemode GROUP BY workspace, affiliate_id
    UNION ALL
    SELECT workspace, toString(affiliate_id), 0, 0, toDate(0), 0, count(), countIf(sale_of_buyer = 1), countIf(refunded < 0), toDecimal128(0, 6), max(sold_at)
    FROM sales
    WHERE livemode
    GROUP BY workspace, affiliate_id
    UNION ALL
    SELECT workspace, toString(affiliate_id), 0, 0, toDate(0), 0, 0, 0, 0, toDecimal128(sum(coalesce(net_usd, 0)), 6), NULL
    FROM revenue FINAL
    WHERE livemode AND status = 'booked' AND amount != 0
    GROUP BY workspace, affiliate_id
)
WHERE affiliate_id != ''
GROUP BY workspace, affiliate_id;

CREATE OR REPLACE VIEW links
(
    workspace     LowCardinality(String) COMMENT 'Owner of the clicks and sales',
    link_id       String COMMENT 'The link',
    clicks        UInt64 COMMENT 'Clicks that count, of all time; of a day that is still changing, as of at most a quarter of an hour ago',
    visitors      UInt64 COMMENT 'Who came by these clicks, or with a page view; above 65,536 an estimate (about 0.4 %)',
    last_click_on Date COMMENT 'UTC day of the latest click; 1970-01-01: none',
    leads         UInt64 COMMENT 'Persons who signed up, each counted where it was first reported; live mode',
    sales         UInt64 COMMENT 'Sales that are credited, live mode',
    customers     UInt64 COMMENT 'First sales of buyers among them, guests included',
    refunded      UInt64 COMMENT 'Sales of which something was refunded',
    net_usd       Decimal(38, 6) COMMENT 'USD without tax, refunds and disputes subtracted; what has no rate yet is left out',
    last_sale_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'When the latest sale was made, UTC; empty: none'
)
AS SELECT workspace, link_id, sum(c) AS clicks, sum(v) AS visitors, max(d) AS last_click_on, sum(l) AS leads, sum(s) AS sales, sum(f) AS customers, sum(r) AS refunded,
    sum(net) AS net_usd, max(at) AS last_sale_at
FROM
(
    SELECT workspace, value AS link_id, sum(clicks) AS c, uniqMerge(visitors) AS v, maxIf(day, clicks > 0) AS d, toUInt64(0) AS l, toUInt64(0) AS s, toUInt64(0) AS f, toUInt64(0) AS r,
        toDecimal128(0, 6) AS net, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS at
    FROM clicks_by_day FINAL
    WHERE dimension = 'link'
    GROUP BY workspace, value
    UNION ALL
    SELECT workspace, link_id, 0, 0, toDate(0), sum(quantity), 0, 0, 0, toDecimal128(0, 6), NULL FROM people WHERE livemode GROUP BY workspace, link_id
    UNION ALL
    SELECT workspace, toString(link_id), 0, 0, toDate(0), 0, count(), countIf(sale_of_buyer = 1), countIf(refunded < 0), toDecimal128(0, 6), max(sold_at)
    FROM sales
    WHERE livemode
    GROUP BY workspace, link_id
    UNION ALL
    SELECT workspace, toString(link_id), 0, 0, toDate(0), 0, 0, 0, 0, toDecimal128(sum(coalesce(net_usd, 0)), 6), NULL
    FROM revenue FINAL
    WHERE livemode AND status = 'booked' AND amount != 0
    GROUP BY workspace, link_id
)
WHERE link_id != ''
GROUP BY workspace, link_id;

CREATE OR REPLACE VIEW channels
(
    workspace     LowCardinality(String) COMMENT 'Owner of the clicks and sales',
    channel       String COMMENT 'direct, organic_search, paid_search, organic_social, paid_social, email, affiliate, referral, ai, display or other',
    clicks        UInt64 COMMENT 'Clicks that count, of all time; of a day that is still changing, as of at most a quarter of an hour ago',
    visitors      UInt64 COMMENT 'Who came by these clicks, or with a page view; above 65,536 an estimate (about 0.4 %)',
    last_click_on Date COMMENT 'UTC day of the latest click; 1970-01-01: none',
    sales         UInt64 COMMENT 'Sales that are credited, live mode',
    customers     UInt64 COMMENT 'First sales of buyers among them, guests included',
    refunded      UInt64 COMMENT 'Sales of which something was refunded',
    net_usd       Decimal(38, 6) COMMENT 'USD without tax, refunds and disputes subtracted; what has no rate yet is left out',
    last_sale_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'When the latest sale was made, UTC; empty: none'
)
AS SELECT workspace, channel, sum(c) AS clicks, sum(v) AS visitors, max(d) AS last_click_on, sum(s) AS sales, sum(f) AS customers, sum(r) AS refunded,
    sum(net) AS net_usd, max(at) AS last_sale_at
FROM
(
    SELECT workspace, value AS channel, sum(clicks) AS c, uniqMerge(visitors) AS v, maxIf(day, clicks > 0) AS d, toUInt64(0) AS s, toUInt64(0) AS f, toUInt64(0) AS r,
        toDecimal128(0, 6) AS net, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS at
    FROM clicks_by_day FINAL
    WHERE dimension = 'channel'
    GROUP BY workspace, value
    UNION ALL
    SELECT workspace, toString(channel), 0, 0, toDate(0), count(), countIf(sale_of_buyer = 1), countIf(refunded < 0), toDecimal128(0, 6), max(sold_at)
    FROM sales
    WHERE livemode
    GROUP BY workspace, channel
    UNION ALL
    SELECT workspace, toString(channel), 0, 0, toDate(0), 0, 0, 0, toDecimal128(sum(coalesce(net_usd, 0)), 6), NULL
    FROM revenue FINAL
    WHERE livemode AND status = 'booked' AND amount != 0
    GROUP BY workspace, channel
)
WHERE channel != ''
GROUP BY workspace, channel;
