-- +goose Up
-- Money is shown in another currency by the rates that the ledger converts by: of the sources in their order of preference, and pegs; not
-- by rates that are held back.
CREATE TABLE IF NOT EXISTS day_rates
(
    currency   LowCardinality(String) COMMENT 'ISO 4217, lower case',
    day        Date COMMENT 'UTC day',
    usd        Decimal(38, 18) COMMENT 'USD per major unit of currency, by which the ledger converts money of that day; 0: nothing converts it',
    source     LowCardinality(String) COMMENT 'Where it is from: ecb, oxr, file:NAME, pegs; empty: nothing converts it',
    written_at DateTime64(3, 'UTC') COMMENT 'When a processor wrote it'
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY (currency, day)
COMMENT 'Exchange rates of each day since the first of the ledger, as processor run computes them from fx_rates and pegs, in the sources'' order of preference';

-- reporting_rates(currency, source): USD per unit of a currency, in force from day to until, at most a week after its day. Without a source
-- they are those of the ledger; of days before its first, and with a source, what fx_rates has.
CREATE OR REPLACE VIEW reporting_rates AS
SELECT toDate('1970-01-01') AS day, toDate('2149-06-06') AS until, toDecimal128(1, 18) AS usd
WHERE {currency:String} = 'usd'
UNION ALL
SELECT d.day, if(d.usd = 0, d.day, d.day + 7), d.usd
FROM day_rates AS d FINAL
WHERE d.currency = {currency:String} AND {source:String} = ''
UNION ALL
SELECT date, if(min(valid_to) = toDate('1970-01-01'), date + 7, min(valid_to)), argMin(f.usd, (source != {source:String}, source))
FROM fx_rates AS f FINAL
WHERE currency = {currency:String} AND fault = '' AND f.usd > 0
    AND ({source:String} != '' OR date < (SELECT if(count() = 0, toDate('2149-06-06'), min(day)) FROM day_rates WHERE currency = {currency:String}))
GROUP BY date
COMMENT 'Exchange rates to show USD in another currency; parameters: currency, source';

CREATE OR REPLACE VIEW spend_shown AS
SELECT
    s.day AS day, s.affiliate_id AS affiliate_id, s.utm_source AS utm_source, s.utm_campaign AS utm_campaign, toString(s.channel) AS channel,
    multiIf(
        s.currency = {currency:String}, CAST(toDecimal128(s.amount, 6), 'Nullable(Decimal(38, 6))'),
        s.own_usd IS NULL OR s.day > r.until, NULL,
        CAST(roundBankers(toDecimal256(s.amount, 24) * toDecimal256(assumeNotNull(s.own_usd), 18) / nullIf(r.usd, 0), 6), 'Nullable(Decimal(38, 6))')
    ) AS shown
FROM
(
    SELECT
        p.*, {currency:String} AS reporting,
        multiIf(p.currency = 'usd', CAST(1, 'Nullable(Decimal(38, 18))'), p.day > f.until, NULL, nullIf(f.usd, 0)) AS own_usd
    FROM
    (
        SELECT * REPLACE (lower(trimBoth(currency)) AS currency) -- as it stands in a CSV file
        FROM spend FINAL
        WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day < toDate({to:DateTime('UTC')})
    ) AS p
    ASOF LEFT JOIN
    (
        -- As reporting_rates, of every currency.
        SELECT d.currency AS currency, d.day AS day, if(d.usd = 0, d.day, d.day + 7) AS until, d.usd AS usd
        FROM day_rates AS d FINAL
        WHERE {rates:String} = ''
        UNION ALL
        SELECT
            q.currency, date, if(min(valid_to) = toDate('1970-01-01'), date + 7, min(valid_to)), argMin(q.usd, (source != {rates:String}, source))
        FROM fx_rates AS q FINAL
        LEFT JOIN (SELECT currency, min(day) AS first FROM day_rates GROUP BY currency) AS kept ON kept.currency = q.currency
        WHERE fault = '' AND q.usd > 0 AND ({rates:String} != '' OR kept.currency = '' OR date < first)
        GROUP BY q.currency, date
    ) AS f ON p.currency = f.currency AND p.day >= f.day
) AS s
ASOF LEFT JOIN
(
    SELECT day, until, usd, {currency:String} AS reporting
    FROM reporting_rates(currency = {currency:String}, source = {rates:String})
) AS r ON s.reporting = r.reporting AND s.day >= r.day
COMMENT 'Spend in the reporting currency; parameters: workspace, from, to, currency, rates';

-- Names that Stripe's own events give its products. The last one stands.
CREATE OR REPLACE VIEW product_names
(
    workspace LowCardinality(String) COMMENT 'As in stripe_events',
    livemode  Bool COMMENT 'false: test mode, which has products of its own',
    product   String COMMENT 'prod_…',
    name      String COMMENT 'As the seller named it in Stripe'
)
COMMENT 'Names of products, from the events product.created and product.updated'
AS SELECT
    workspace,
    livemode,
    JSONExtractString(body, 'data', 'object', 'id') AS product,
    argMax(JSONExtractString(body, 'data', 'object', 'name'), (created, event_id)) AS name
FROM stripe_events
WHERE type IN ('product.created', 'product.updated')
GROUP BY workspace, livemode, product;
