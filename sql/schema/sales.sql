CREATE VIEW sales
(
    `workspace` LowCardinality(String) COMMENT 'The account\'s workspace',
    `livemode` Bool COMMENT 'false: test mode, never in one sum with live money',
    `sale_id` String COMMENT 'The sale: the invoice if there is one, else the payment\'s object',
    `sold_at` DateTime64(3, 'UTC') COMMENT 'When its first payment was made, UTC',
    `buyer` String COMMENT 'The buyer\'s id in the seller\'s database, else cus_…; empty for a guest',
    `sale_of_buyer` UInt64 COMMENT '1: the buyer\'s first sale, 2: the second …; by sold_at. A guest\'s is always 1',
    `renewal` Bool COMMENT 'true: a subscription\'s later invoice (billing_reason subscription_cycle)',
    `subscription_id` String COMMENT 'sub_…; empty if none',
    `currency` LowCardinality(String) COMMENT 'Lower case, of the first payment',
    `payments` UInt64 COMMENT 'How many payments it has: an invoice may be paid in parts',
    `paid` Int64 COMMENT 'Minor units of currency, tax included: what was paid. What moved in another currency is only in net_usd',
    `refunded` Int64 COMMENT 'Minor units, zero or negative: refunds, less those that failed; as paid',
    `disputed` Int64 COMMENT 'Minor units, zero or negative: disputes, less what came back; as paid',
    `net_usd` Nullable(Decimal(38, 6)) COMMENT 'USD without tax, refunds and disputes subtracted; empty while an entry of it has no rate',
    `affiliate_id` String COMMENT 'Who is credited; empty: nobody',
    `program_id` String COMMENT 'Affiliate programme; empty if none',
    `link_id` String COMMENT 'Link of the credited click; empty if none',
    `utm_source` String COMMENT 'Of the credited click; empty if none',
    `utm_campaign` String COMMENT 'Of the credited click; empty if none',
    `channel` LowCardinality(String) COMMENT 'Of the credited click; empty when no single click is known',
    `country` LowCardinality(String) COMMENT 'Of the credited click, ISO 3166-1 alpha-2; empty if unknown',
    `match_rule` LowCardinality(String) COMMENT 'Why it is credited so; none: not attributed',
    `click_id` String COMMENT 'The credited click, as text; empty when no single click is known',
    `clicked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was clicked, UTC; empty when no single click is known',
    `seconds_to_sale` Nullable(Int64) COMMENT 'Seconds from the click to the sale; empty when no single click is known'
)
COMMENT 'Each sale, with what was refunded and disputed of it, and why it is credited so'
AS SELECT
    workspace,
    livemode,
    sale_id,
    sold_at,
    buyer,
    if(buyer = '', 1, row_number() OVER (PARTITION BY workspace, livemode, buyer ORDER BY sold_at ASC, sale_id ASC)) AS sale_of_buyer,
    first.1 AS renewal,
    first.2 AS subscription_id,
    first.13 AS currency,
    payments,
    paid_in[currency] AS paid,
    refunded_in[currency] AS refunded,
    disputed_in[currency] AS disputed,
    net_usd,
    first.3 AS affiliate_id,
    first.4 AS program_id,
    first.5 AS link_id,
    first.6 AS utm_source,
    first.7 AS utm_campaign,
    first.8 AS channel,
    first.9 AS country,
    first.10 AS match_rule,
    if((first.11) = toFixedString('', 16), '', UUIDNumToString(first.11)) AS click_id,
    first.12 AS clicked_at,
    dateDiff('second', clicked_at, sold_at) AS seconds_to_sale
FROM
(
    SELECT
        workspace,
        livemode,
        sale_id,
        minIf(occurred_at, kind = 'payment') AS sold_at,
        argMinIf(if(external_customer_id != '', external_customer_id, customer_id), (occurred_at, object_id), kind = 'payment') AS buyer,
        argMinIf((billing_reason = 'subscription_cycle', subscription_id, affiliate_id, toString(program_id), link_id, toString(utm_source), toString(utm_campaign), channel, country, match_rule, click_id, clicked_at, currency), (occurred_at, object_id), kind = 'payment') AS first,
        countIf(kind = 'payment') AS payments,
        sumMapIf(map(currency, amount), kind = 'payment') AS paid_in,
        sumMapIf(map(currency, amount), (kind IN ('refund', 'refund_reversal'))) AS refunded_in,
        sumMapIf(map(currency, amount), (kind IN ('dispute', 'dispute_reversal'))) AS disputed_in,
        if(count() = count(net_usd), sum(net_usd), NULL) AS net_usd
    FROM revenue
    FINAL
    WHERE (status = 'booked') AND (amount != 0)
    GROUP BY
        workspace,
        livemode,
        sale_id
    HAVING payments > 0
)
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0, empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0;
