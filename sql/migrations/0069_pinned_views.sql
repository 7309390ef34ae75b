-- +goose Up
-- These views answer the same whatever settings the profile of who asks has, as connections of the programs do (pinned.go): with them
-- prefer_column_name_to_alias refused people, aggregate_functions_null_for_empty left out sums of sales and refused earnings,
-- join_default_strictness left out rows of earnings, and the rates of a currency were missing with join_use_nulls (spend_shown) and
-- empty_result_for_aggregation_by_empty_set (both of the last two).
CREATE OR REPLACE VIEW people
(
    workspace    LowCardinality(String) COMMENT 'Whose person it is',
    livemode     Bool COMMENT 'false: reported by test mode only',
    person       String COMMENT 'Who it is, as in leads',
    received_at  DateTime64(3, 'UTC') COMMENT 'When they first became a lead, UTC',
    quantity     UInt8 COMMENT 'The most that a report of them says, 1 to 100',
    event_name   String COMMENT 'Of the first report, like all that follows',
    program_id   String COMMENT 'Programme of the affiliate',
    affiliate_id String COMMENT 'Who is credited; empty: nobody',
    link_id      String COMMENT 'Link of the credited click',
    utm_campaign String COMMENT 'Campaign of the credited click',
    country      String COMMENT 'Country of the credited click',
    match_rule   String COMMENT 'Why, as in leads'
)
AS WITH
    -- 2 ^ 62: times before 1970 are negative.
    bitShiftLeft(toUInt256(toUnixTimestamp64Milli(occurred_at) + 4611686018427387904), 128) + reinterpretAsUInt128(reverse(lead_id)) AS place
SELECT
    workspace, livemode, if(person = '', concat('lead:', lower(hex(lead_id))), person) AS person,
    -- Of times, the compiled form of min takes those before 1970 for the latest (ClickHouse 26.7); of numbers it does not.
    fromUnixTimestamp64Milli(min(toUnixTimestamp64Milli(occurred_at)), 'UTC') AS received_at, max(l.quantity) AS quantity,
    argMin(l.event_name, place) AS event_name, argMin(l.program_id, place) AS program_id, argMin(l.affiliate_id, place) AS affiliate_id,
    argMin(l.link_id, place) AS link_id, argMin(l.utm_campaign, place) AS utm_campaign, argMin(l.country, place) AS country,
    argMin(l.match_rule, place) AS match_rule
FROM leads_attributed AS l FINAL
WHERE vouched
GROUP BY workspace, livemode, person
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0,
    empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0
COMMENT 'Persons whom a backend or Stripe reported as a lead, each once, as first reported';

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
    currency             LowCardinality(String) COMMENT 'Lower case, of the first payment',
    payments             UInt64 COMMENT 'How many payments it has: an invoice may be paid in parts',
    paid                 Int64 COMMENT 'Minor units of currency, tax included: what was paid. What moved in another currency is only in net_usd',
    refunded             Int64 COMMENT 'Minor units, zero or negative: refunds, less those that failed; as paid',
    disputed             Int64 COMMENT 'Minor units, zero or negative: disputes, less what came back; as paid',
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
COMMENT 'Each sale, with what was refunded and disputed of it, and why it is credited so'
AS SELECT
    workspace, livemode, sale_id, sold_at, buyer,
    if(buyer = '', 1, row_number() OVER (PARTITION BY workspace, livemode, buyer ORDER BY sold_at, sale_id)) AS sale_of_buyer,
    first.1 AS renewal, first.2 AS subscription_id, first.13 AS currency, payments,
    paid_in[currency] AS paid, refunded_in[currency] AS refunded, disputed_in[currency] AS disputed, net_usd,
    first.3 AS affiliate_id, first.4 AS program_id, first.5 AS link_id, first.6 AS utm_source, first.7 AS utm_campaign, first.8 AS channel, first.9 AS country,
    first.10 AS match_rule,
    if(first.11 = toFixedString('', 16), '', UUIDNumToString(first.11)) AS click_id,
    first.12 AS clicked_at,
    dateDiff('second', clicked_at, sold_at) AS seconds_to_sale
FROM
(
    SELECT
        workspace, livemode, sale_id,
        minIf(occurred_at, kind = 'payment') AS sold_at,
        argMinIf(if(external_customer_id != '', external_customer_id, customer_id), (occurred_at, object_id), kind = 'payment') AS buyer,
        argMinIf((billing_reason = 'subscription_cycle', subscription_id, affiliate_id, toString(program_id), link_id, toString(utm_source), toString(utm_campaign), channel, country,
            match_rule, click_id, clicked_at, currency), (occurred_at, object_id), kind = 'payment') AS first,
        countIf(kind = 'payment') AS payments,
        sumMapIf(map(currency, amount), kind = 'payment') AS paid_in,
        sumMapIf(map(currency, amount), kind IN ('refund', 'refund_reversal')) AS refunded_in,
        sumMapIf(map(currency, amount), kind IN ('dispute', 'dispute_reversal')) AS disputed_in,
        if(count() = count(net_usd), sum(net_usd), NULL) AS net_usd
    FROM revenue FINAL
    WHERE status = 'booked' AND amount != 0
    GROUP BY workspace, livemode, sale_id
    HAVING payments > 0
)
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0,
    empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0;

CREATE OR REPLACE VIEW earnings
(
    workspace     LowCardinality(String) COMMENT 'As in ledger',
    livemode      Bool COMMENT 'As in ledger',
    affiliate_id  String COMMENT 'Who earns it',
    entry_id      String COMMENT 'As in ledger_current: hexadecimal text',
    sale_id       String COMMENT 'As in ledger',
    object_id     String COMMENT 'As in ledger',
    kind          String COMMENT 'As in ledger',
    occurred_at   DateTime64(3, 'UTC') COMMENT 'As in ledger',
    payable_at    DateTime64(3, 'UTC') COMMENT 'UTC: the last payment of the sale until then, and the days that the rule holds it; of money out no earlier than it occurred',
    products      Array(String) COMMENT 'Which products of the entry the rule decides; an empty name: what names none. Empty: all of the entry',
    net_usd       Decimal(18, 6) COMMENT 'As in ledger, of these products; entries without a rate are not here',
    rule          String COMMENT 'Name of the rule that decides: the first in the file that fits',
    usd           Decimal(18, 2) COMMENT 'What net_usd earns, USD, negative for money out; rounded once, half to even',
    rule_in_force Tuple(name String, from Date, until Date, affiliates Array(String), programs Array(String), products Array(String), percent Decimal(18, 4), flat_usd Decimal(18, 2), first_sale_only Bool, months UInt16, hold_days UInt16) COMMENT 'The rule itself; from and until are UTC days of the sale, percent is of net_usd, flat_usd of all that the sale has of what the rule decides'
)
COMMENT 'What each booked entry earns its affiliate now, by the rules that are in force: one row for each rule that decides a part of it'
AS WITH
    rules AS
    (
        SELECT
            workspace,
            JSONExtract(argMax(rules, loaded_at), 'Array(Tuple(
                name String, from Date, until Date, affiliates Array(String), programs Array(String), products Array(String),
                percent Decimal(18, 4), flat_usd Decimal(18, 2), first_sale_only Bool, months UInt16, hold_days UInt16))') AS list
        FROM earning_rules
        GROUP BY workspace
    ),
    -- What an entry moved, by product: parts that have the proportions of product_net and add up to net_usd, as in activity.
    multiIf(net_usd IS NULL, [], empty(products) OR arraySum(product_net) = 0, [('', toDecimal128(assumeNotNull(net_usd), 6))],
        arrayMap((product, upto, own) -> (toString(product), CAST(
            toDecimal256(assumeNotNull(net_usd), 6) * upto / arraySum(product_net)
            - toDecimal256(assumeNotNull(net_usd), 6) * (upto - own) / arraySum(product_net), 'Decimal(38, 6)')),
            products, arrayCumSum(product_net), product_net)) AS parts_of_net
SELECT
    workspace, livemode, affiliate_id, lower(hex(ledger_entry)) AS entry_id, sale_id, object_id, kind, occurred_at,
    greatest(occurred_at, paid_at + toIntervalDay(rule_in_force.hold_days)) AS payable_at,
    if(length(deciding) = 1, [], arrayMap(part -> part.1, arrayFilter((part, n) -> n = decides, parts, part_rules))) AS products,
    CAST(arraySum((part, n) -> if(n = decides, part.2, toDecimal128(0, 6)), parts, part_rules), 'Decimal(18, 6)') AS net_usd,
    rule_in_force.name AS rule,
    -- Exact, then rounded once, half to even. A flat amount is of the sale: each entry has the part that it is of what the sale's
    -- payments have of what the rule decides. While these have no rate, it has none.
    CAST(roundBankers(
        toDecimal256(net_usd, 8) * toDecimal256(rule_in_force.percent, 4) / 100
        + if(paid_usd = 0, toDecimal256(0, 18), toDecimal256(rule_in_force.flat_usd, 18)) * toDecimal256(net_usd, 6)
            / if(paid_usd = 0, toDecimal128(1, 6), paid_usd), 2
    ), 'Decimal(18, 2)') AS usd,
    list[decides] AS rule_in_force
FROM
(
    SELECT
        *,
        arrayJoin(arrayFilter(n -> n > 0, deciding)) AS decides,
        arraySum((usd, n) -> if(n = decides, usd, toDecimal128(0, 6)), paid.2, paid_rules) AS paid_usd
    FROM
    (
        SELECT
            e.workspace AS workspace, e.livemode AS livemode, e.affiliate_id AS affiliate_id, e.entry_id AS ledger_entry, e.sale_id AS sale_id,
            e.object_id AS object_id, toString(e.kind) AS kind, e.occurred_at AS occurred_at, e.paid_at AS paid_at, e.parts AS parts,
            e.paid AS paid, r.list AS list,
            -- Whether a rule fits, but for the product.
            arrayMap(r -> (empty(r.affiliates) OR has(r.affiliates, e.affiliate_id))
                AND (empty(r.programs) OR has(r.programs, e.program_id))
                AND toDate(e.sold_at) BETWEEN r.from AND r.until
                AND (NOT r.first_sale_only OR e.sale_id = e.first_sale_id)
                AND (r.months = 0 OR e.sold_at < addMonths(e.first_sold_at, r.months)), list) AS fits,
            arrayMap(r -> r.products, list) AS of_products,
            arrayMap(part -> arrayFirstIndex((fit, only) -> fit AND (empty(only) OR has(only, part.1)), fits, of_products), parts) AS part_rules,
            arrayMap(product -> arrayFirstIndex((fit, only) -> fit AND (empty(only) OR has(only, product)), fits, of_products), paid.1) AS paid_rules,
            arrayDistinct(part_rules) AS deciding
        FROM
        (
            SELECT *
            FROM
            (
                SELECT
                    *,
                    min(sold_at) OVER (PARTITION BY workspace, livemode, buyer) AS first_sold_at,
                    argMin(sale_id, (sold_at, sale_id)) OVER (PARTITION BY workspace, livemode, buyer) AS first_sale_id
                FROM
                (
                    SELECT
                        workspace, livemode, entry_id, sale_id, object_id, kind, occurred_at, affiliate_id, program_id, match_rule,
                        parts_of_net AS parts,
                        multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer,
                        minIf(occurred_at, kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id) AS sold_at,
                        sumMapIf(arrayMap(part -> part.1, parts), arrayMap(part -> part.2, parts), kind = 'payment') OVER (PARTITION BY workspace, livemode, sale_id) AS paid,
                        -- The last payment until then: a refund is payable no earlier than what it takes back.
                        maxIf(occurred_at, kind = 'payment') OVER (
                            PARTITION BY workspace, livemode, sale_id ORDER BY occurred_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                        ) AS paid_at
                    FROM ledger FINAL
                    WHERE status = 'booked' AND amount != 0
                )
            )
            WHERE affiliate_id != '' AND match_rule NOT IN ('', 'none')
                AND sold_at > toDateTime64(0, 3, 'UTC') -- what goes back of a sale that is not booked takes nothing back
        ) AS e
        INNER JOIN rules AS r ON r.workspace = e.workspace
    )
)
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0,
    empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0;

CREATE OR REPLACE VIEW reporting_rates AS
SELECT day, until, usd
FROM
(
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
)
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0,
    empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0
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
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0,
    empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0
COMMENT 'Spend in the reporting currency; parameters: workspace, from, to, currency, rates';
