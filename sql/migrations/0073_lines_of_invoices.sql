-- +goose Up
-- A plan of four weeks counted as monthly, because February has 28 days, too. What a plan is, is said by its price or by the calendar. Shipping,
-- which is in the invoice and in no line, counted as if it recurred, and so did what is bought once where the event has not all lines.
-- And planning what the view computed of lines took 17 ms of CPU in each insert of events, of whatever type. Now the view keeps what the event
-- says, and recurring_revenue computes.
ALTER TABLE invoice_periods
    ADD COLUMN IF NOT EXISTS whole Nullable(Int64) COMMENT 'Minor units of the whole invoice without tax, shipping included; empty: the event does not say' AFTER invoice_id,
    ADD COLUMN IF NOT EXISTS shipping Int64 COMMENT 'Minor units of it without tax, which are in no line' AFTER whole,
    ADD COLUMN IF NOT EXISTS more Bool COMMENT 'true: the invoice has more lines than the event, which has ten' AFTER shipping,
    ADD COLUMN IF NOT EXISTS lines Array(Tuple(
        amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),
        price Tuple(recurring Tuple(interval String)), plan Tuple(interval String),
        parent Tuple(type String, subscription_item_details Tuple(proration Bool)),
        discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),
        taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool)))) COMMENT 'Its lines, of the fields of Stripe''s API what says how much recurs, and how often; what a version of the API does not have is empty' AFTER more,
    MODIFY COMMENT 'The lines of an invoice as its events have them; for recurring_revenue';

ALTER TABLE invoice_periods_mv MODIFY QUERY
SELECT
    workspace, livemode, invoice.id AS invoice_id,
    coalesce(invoice.total_excluding_tax, invoice.total
        - ifNull(invoice.tax, arraySum(invoice.total_taxes.amount) + arraySum(invoice.total_tax_amounts.amount))) AS whole,
    invoice.shipping_cost.amount_total - invoice.shipping_cost.amount_tax AS shipping,
    invoice.lines.has_more AS more, invoice.lines.data AS lines,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace, livemode, created,
        JSONExtract(body, 'data', 'object', 'Tuple(
            object String, id String, status String,
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
WHERE invoice.object = 'invoice' AND invoice.status NOT IN ('', 'draft') AND notEmpty(invoice.lines.data);

-- Those of the events that are stored.
INSERT INTO invoice_periods (workspace, livemode, invoice_id, whole, shipping, more, lines, version)
SELECT
    workspace, livemode, invoice.id AS invoice_id,
    coalesce(invoice.total_excluding_tax, invoice.total
        - ifNull(invoice.tax, arraySum(invoice.total_taxes.amount) + arraySum(invoice.total_tax_amounts.amount))) AS whole,
    invoice.shipping_cost.amount_total - invoice.shipping_cost.amount_tax AS shipping,
    invoice.lines.has_more AS more, invoice.lines.data AS lines,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace, livemode, created,
        JSONExtract(body, 'data', 'object', 'Tuple(
            object String, id String, status String,
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
WHERE invoice.object = 'invoice' AND invoice.status NOT IN ('', 'draft') AND notEmpty(invoice.lines.data);

ALTER TABLE invoice_periods
    DROP COLUMN IF EXISTS nets,
    DROP COLUMN IF EXISTS days,
    DROP COLUMN IF EXISTS total;
