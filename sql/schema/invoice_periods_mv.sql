CREATE MATERIALIZED VIEW invoice_periods_mv TO invoice_periods
(
    `workspace` LowCardinality(String),
    `livemode` Bool,
    `invoice_id` String,
    `subscription_id` String,
    `billing_reason` String,
    `currency` String,
    `paid_at` DateTime('UTC'),
    `total` Int64,
    `due` Int64,
    `balance` Int64,
    `whole` Nullable(Int64),
    `shipping` Int64,
    `more` Bool,
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
            inclusive Bool)))),
    `version` UInt64
)
COMMENT 'Fills invoice_periods with the invoices of each insert'
AS SELECT
    workspace,
    livemode,
    tupleElement(invoice, 'id') AS invoice_id,
    if(tupleElement(invoice, 'subscription') != '', tupleElement(invoice, 'subscription'), tupleElement(tupleElement(tupleElement(invoice, 'parent'), 'subscription_details'), 'subscription')) AS subscription_id,
    tupleElement(invoice, 'billing_reason') AS billing_reason,
    tupleElement(invoice, 'currency') AS currency,
    toDateTime(if(tupleElement(invoice, 'status') = 'paid', ifNull(tupleElement(tupleElement(invoice, 'status_transitions'), 'paid_at'), toUnixTimestamp(created)), 0), 'UTC') AS paid_at,
    ifNull(tupleElement(invoice, 'total'), 0) AS total,
    ifNull(tupleElement(invoice, 'amount_due'), total) AS due,
    ifNull(tupleElement(invoice, 'ending_balance') - tupleElement(invoice, 'starting_balance'), 0) AS balance,
    coalesce(tupleElement(invoice, 'total_excluding_tax'), tupleElement(invoice, 'total') - ifNull(tupleElement(invoice, 'tax'), arraySum(tupleElement(tupleElement(invoice, 'total_taxes'), 'amount')) + arraySum(tupleElement(tupleElement(invoice, 'total_tax_amounts'), 'amount')))) AS whole,
    tupleElement(tupleElement(invoice, 'shipping_cost'), 'amount_total') - tupleElement(tupleElement(invoice, 'shipping_cost'), 'amount_tax') AS shipping,
    tupleElement(tupleElement(invoice, 'lines'), 'has_more') AS more,
    tupleElement(tupleElement(invoice, 'lines'), 'data') AS lines,
    (toUInt64(toUnixTimestamp(created)) * 2) + (tupleElement(invoice, 'status') = 'paid') AS version
FROM
(
    SELECT
        workspace,
        livemode,
        created,
        JSONExtract(body, 'data', 'object', 'Tuple(\n            object String, id String, status String, billing_reason String, currency String,\n            subscription String, parent Tuple(subscription_details Tuple(subscription String)),\n            amount_due Nullable(Int64), starting_balance Nullable(Int64), ending_balance Nullable(Int64),\n            status_transitions Tuple(paid_at Nullable(Int64)),\n            total Nullable(Int64), total_excluding_tax Nullable(Int64), tax Nullable(Int64),\n            total_taxes Array(Tuple(amount Int64)), total_tax_amounts Array(Tuple(amount Int64)),\n            shipping_cost Tuple(amount_total Int64, amount_tax Int64),\n            lines Tuple(has_more Bool, data Array(Tuple(\n                    amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),\n                    price Tuple(recurring Tuple(interval String)), plan Tuple(interval String),\n                    parent Tuple(type String, subscription_item_details Tuple(proration Bool)),\n                    discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),\n                    taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool))))))') AS invoice
    FROM stripe_events
    WHERE startsWith(type, 'invoice.')
)
WHERE (tupleElement(invoice, 'object') = 'invoice') AND (tupleElement(invoice, 'status') NOT IN ('', 'draft')) AND notEmpty(tupleElement(tupleElement(invoice, 'lines'), 'data'));
