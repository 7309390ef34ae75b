-- +goose Up
-- An invoice that the customer's balance pays makes no payment, so its subscription counted as ended in recurring_revenue, and as smaller
-- where the balance paid a part. After a change to a smaller plan that may be so for years.
ALTER TABLE invoice_periods
    ADD COLUMN IF NOT EXISTS subscription_id String COMMENT 'sub_…; empty: of no subscription' AFTER invoice_id,
    ADD COLUMN IF NOT EXISTS billing_reason LowCardinality(String) COMMENT 'As in ledger' AFTER subscription_id,
    ADD COLUMN IF NOT EXISTS currency LowCardinality(String) COMMENT 'Of the invoice, ISO 4217, lower case' AFTER billing_reason,
    ADD COLUMN IF NOT EXISTS paid_at DateTime('UTC') COMMENT 'When it was paid, also by the customer''s balance; 1970-01-01: it is not' AFTER currency,
    ADD COLUMN IF NOT EXISTS total Int64 COMMENT 'Minor units of the whole invoice, tax included; negative: it credits the customer' AFTER paid_at,
    ADD COLUMN IF NOT EXISTS due Int64 COMMENT 'Minor units of it that payments have to pay' AFTER total,
    ADD COLUMN IF NOT EXISTS balance Int64 COMMENT 'Minor units of it that the customer''s balance pays; negative: what the customer owed from before is due with it, or it credits the customer' AFTER due,
    COMMENT COLUMN version 'When Stripe made the event, seconds since 1970, times two, and one more where the invoice is paid; lines of an invoice that is no draft do not change',
    MODIFY COMMENT 'The lines of an invoice as its events have them, and what the customer''s balance pays of it; for recurring_revenue';

-- tupleElement, because planning it takes less than invoice.id and its like, and each insert of events plans the view.
ALTER TABLE invoice_periods_mv MODIFY QUERY
SELECT
    workspace, livemode, tupleElement(invoice, 'id') AS invoice_id,
    if(tupleElement(invoice, 'subscription') != '', tupleElement(invoice, 'subscription'),
        tupleElement(tupleElement(tupleElement(invoice, 'parent'), 'subscription_details'), 'subscription')) AS subscription_id,
    tupleElement(invoice, 'billing_reason') AS billing_reason, tupleElement(invoice, 'currency') AS currency,
    toDateTime(if(tupleElement(invoice, 'status') = 'paid',
        ifNull(tupleElement(tupleElement(invoice, 'status_transitions'), 'paid_at'), toUnixTimestamp(created)), 0), 'UTC') AS paid_at,
    ifNull(tupleElement(invoice, 'total'), 0) AS total, ifNull(tupleElement(invoice, 'amount_due'), total) AS due,
    ifNull(tupleElement(invoice, 'ending_balance') - tupleElement(invoice, 'starting_balance'), 0) AS balance,
    coalesce(tupleElement(invoice, 'total_excluding_tax'), tupleElement(invoice, 'total')
        - ifNull(tupleElement(invoice, 'tax'), arraySum(tupleElement(tupleElement(invoice, 'total_taxes'), 'amount'))
            + arraySum(tupleElement(tupleElement(invoice, 'total_tax_amounts'), 'amount')))) AS whole,
    tupleElement(tupleElement(invoice, 'shipping_cost'), 'amount_total')
        - tupleElement(tupleElement(invoice, 'shipping_cost'), 'amount_tax') AS shipping,
    tupleElement(tupleElement(invoice, 'lines'), 'has_more') AS more,
    tupleElement(tupleElement(invoice, 'lines'), 'data') AS lines,
    toUInt64(toUnixTimestamp(created)) * 2 + (tupleElement(invoice, 'status') = 'paid') AS version
FROM
(
    SELECT
        workspace, livemode, created,
        JSONExtract(body, 'data', 'object', 'Tuple(
            object String, id String, status String, billing_reason String, currency String,
            subscription String, parent Tuple(subscription_details Tuple(subscription String)),
            amount_due Nullable(Int64), starting_balance Nullable(Int64), ending_balance Nullable(Int64),
            status_transitions Tuple(paid_at Nullable(Int64)),
            total Nullable(Int64), total_excluding_tax Nullable(Int64), tax Nullable(Int64),
            total_taxes Array(Tuple(amount Int64)), total_tax_amounts Array(Tuple(amount Int64)),
            shipping_cost Tuple(amount_total Int64, amount_tax Int64),
            lines Tuple(has_more Bool, data Array(Tuple(
                    amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),
                    price Tuple(recurring Tuple(interval String)), plan Tuple(interval String),
                    parent Tuple(type String, subscription_item_details Tuple(proration Bool)),
                    discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),
                    taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool))))))') AS invoice
    FROM stripe_events
    WHERE startsWith(type, 'invoice.')
)
WHERE tupleElement(invoice, 'object') = 'invoice' AND tupleElement(invoice, 'status') NOT IN ('', 'draft')
    AND notEmpty(tupleElement(tupleElement(invoice, 'lines'), 'data'));

-- Those of the events that are stored.
INSERT INTO invoice_periods
    (workspace, livemode, invoice_id, subscription_id, billing_reason, currency, paid_at, total, due, balance, whole, shipping, more, lines, version)
SELECT
    workspace, livemode, tupleElement(invoice, 'id') AS invoice_id,
    if(tupleElement(invoice, 'subscription') != '', tupleElement(invoice, 'subscription'),
        tupleElement(tupleElement(tupleElement(invoice, 'parent'), 'subscription_details'), 'subscription')) AS subscription_id,
    tupleElement(invoice, 'billing_reason') AS billing_reason, tupleElement(invoice, 'currency') AS currency,
    toDateTime(if(tupleElement(invoice, 'status') = 'paid',
        ifNull(tupleElement(tupleElement(invoice, 'status_transitions'), 'paid_at'), toUnixTimestamp(created)), 0), 'UTC') AS paid_at,
    ifNull(tupleElement(invoice, 'total'), 0) AS total, ifNull(tupleElement(invoice, 'amount_due'), total) AS due,
    ifNull(tupleElement(invoice, 'ending_balance') - tupleElement(invoice, 'starting_balance'), 0) AS balance,
    coalesce(tupleElement(invoice, 'total_excluding_tax'), tupleElement(invoice, 'total')
        - ifNull(tupleElement(invoice, 'tax'), arraySum(tupleElement(tupleElement(invoice, 'total_taxes'), 'amount'))
            + arraySum(tupleElement(tupleElement(invoice, 'total_tax_amounts'), 'amount')))) AS whole,
    tupleElement(tupleElement(invoice, 'shipping_cost'), 'amount_total')
        - tupleElement(tupleElement(invoice, 'shipping_cost'), 'amount_tax') AS shipping,
    tupleElement(tupleElement(invoice, 'lines'), 'has_more') AS more,
    tupleElement(tupleElement(invoice, 'lines'), 'data') AS lines,
    toUInt64(toUnixTimestamp(created)) * 2 + (tupleElement(invoice, 'status') = 'paid') AS version
FROM
(
    SELECT
        workspace, livemode, created,
        JSONExtract(body, 'data', 'object', 'Tuple(
            object String, id String, status String, billing_reason String, currency String,
            subscription String, parent Tuple(subscription_details Tuple(subscription String)),
            amount_due Nullable(Int64), starting_balance Nullable(Int64), ending_balance Nullable(Int64),
            status_transitions Tuple(paid_at Nullable(Int64)),
            total Nullable(Int64), total_excluding_tax Nullable(Int64), tax Nullable(Int64),
            total_taxes Array(Tuple(amount Int64)), total_tax_amounts Array(Tuple(amount Int64)),
            shipping_cost Tuple(amount_total Int64, amount_tax Int64),
            lines Tuple(has_more Bool, data Array(Tuple(
                    amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),
                    price Tuple(recurring Tuple(interval String)), plan Tuple(interval String),
                    parent Tuple(type String, subscription_item_details Tuple(proration Bool)),
                    discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),
                    taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool))))))') AS invoice
    FROM stripe_events
    WHERE startsWith(type, 'invoice.')
)
WHERE tupleElement(invoice, 'object') = 'invoice' AND tupleElement(invoice, 'status') NOT IN ('', 'draft')
    AND notEmpty(tupleElement(tupleElement(invoice, 'lines'), 'data'));
