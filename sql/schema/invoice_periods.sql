CREATE TABLE invoice_periods
(
    `workspace` LowCardinality(String) COMMENT 'As in stripe_events',
    `livemode` Bool COMMENT 'false: test mode',
    `invoice_id` String COMMENT 'in_…; sale_id in ledger and revenue',
    `subscription_id` String COMMENT 'sub_…; empty: of no subscription',
    `billing_reason` LowCardinality(String) COMMENT 'As in ledger',
    `currency` LowCardinality(String) COMMENT 'Of the invoice, ISO 4217, lower case',
    `paid_at` DateTime('UTC') COMMENT 'When it was paid, also by the customer\'s balance; 1970-01-01: it is not',
    `total` Int64 COMMENT 'Minor units of the whole invoice, tax included; negative: it credits the customer',
    `due` Int64 COMMENT 'Minor units of it that payments have to pay',
    `balance` Int64 COMMENT 'Minor units of it that the customer\'s balance pays; negative: what the customer owed from before is due with it, or it credits the customer',
    `whole` Nullable(Int64) COMMENT 'Minor units of the whole invoice without tax, shipping included; empty: the event does not say',
    `shipping` Int64 COMMENT 'Minor units of it without tax, which are in no line',
    `more` Bool COMMENT 'true: the invoice has more lines than the event, which has ten',
    `lines` Array(Tuple(
        amount Int64,
        type String,
        proration Bool,
        period Tuple(
            start Int64,
            end Int64),
        price Tuple(recurring Tuple(interval String)),
        plan Tuple(interval String),
        parent Tuple(
            type String,
            subscription_item_details Tuple(proration Bool)),
        discount_amounts Array(Tuple(amount Int64)),
        pretax_credit_amounts Array(Tuple(
            amount Int64,
            type String)),
        taxes Array(Tuple(
            amount Int64,
            tax_behavior String)),
        tax_amounts Array(Tuple(
            amount Int64,
            inclusive Bool)))) COMMENT 'Its lines, of the fields of Stripe\'s API what says how much recurs, and how often; what a version of the API does not have is empty',
    `version` UInt64 COMMENT 'When Stripe made the event, seconds since 1970, times two, and one more where the invoice is paid; lines of an invoice that is no draft do not change'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, livemode, invoice_id)
SETTINGS index_granularity = 8192
COMMENT 'The lines of an invoice as its events have them, and what the customer\'s balance pays of it; for recurring_revenue';
