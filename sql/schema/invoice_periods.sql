CREATE TABLE invoice_periods
(
    `workspace` LowCardinality(String) COMMENT 'As in stripe_events',
    `livemode` Bool COMMENT 'false: test mode',
    `invoice_id` String COMMENT 'in_…; sale_id in ledger and revenue',
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
    `version` UInt64 COMMENT 'When Stripe made the event, seconds since 1970; lines of an invoice that is no draft do not change'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, livemode, invoice_id)
SETTINGS index_granularity = 8192
COMMENT 'The lines of an invoice as its events have them; for recurring_revenue';
