-- +goose Up
-- For how long an invoice of a subscription is, and how much of it recurs, is said by its lines alone. The ledger has neither, so that
-- recurring_revenue took the shortest time between two invoices of a subscription: a yearly plan counted as monthly in its first year, and
-- for ever where it followed a monthly one.
CREATE TABLE IF NOT EXISTS invoice_periods
(
    workspace   LowCardinality(String) COMMENT 'As in stripe_events',
    livemode    Bool COMMENT 'false: test mode',
    invoice_id  String COMMENT 'in_…; sale_id in ledger and revenue',
    nets        Array(Int64) COMMENT 'Minor units without tax, discounts subtracted, of each line of a subscription; prorations, fees and products that are bought once are left out. An invoice that begins a subscription with prorations alone has these',
    days        Array(UInt32) COMMENT 'Days of the period of each of these lines',
    total       Int64 COMMENT 'The same minor units of all lines that the event has, at most ten',
    version     UInt64 COMMENT 'When Stripe made the event, seconds since 1970; lines of an invoice that is no draft do not change'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, livemode, invoice_id)
COMMENT 'How much of an invoice recurs, and how often, from the lines in its events; for recurring_revenue';

CREATE MATERIALIZED VIEW IF NOT EXISTS invoice_periods_mv TO invoice_periods
COMMENT 'Fills invoice_periods with the invoices of each insert'
AS SELECT
    workspace, livemode, invoice.id AS invoice_id,
    arrayMap(line -> line.2, recurring) AS nets,
    arrayMap(line -> line.3, recurring) AS days,
    arraySum(line -> line.2, lines) AS total,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace, livemode, created, invoice,
        -- 1: it recurs; 2: a proration; 0: neither. Up to API 2025-02 a line has a type, from basil (2025-03-31) on a parent.
        arrayMap(line -> (
            multiIf(line.type != 'subscription' AND line.parent.type != 'subscription_item_details', 0,
                line.proration OR line.parent.subscription_item_details.proration, 2, 1),
            line.amount
                - arraySum(part -> part.amount, line.discount_amounts)
                - arraySum(part -> if(part.type = 'discount', 0, part.amount), line.pretax_credit_amounts)
                - if(empty(line.taxes),
                    arraySum(part -> if(part.inclusive, part.amount, 0), line.tax_amounts),
                    arraySum(part -> if(part.tax_behavior = 'inclusive', part.amount, 0), line.taxes)),
            toUInt32(greatest(1, intDiv(line.period.end - line.period.start + 43200, 86400)))
        ), invoice.lines.data) AS lines,
        arrayFilter(line -> line.1 = 1, lines) AS regular,
        if(empty(regular) AND invoice.billing_reason = 'subscription_create', arrayFilter(line -> line.1 = 2, lines), regular) AS recurring
    FROM
    (
        SELECT
            workspace, livemode, created,
            JSONExtract(body, 'data', 'object', 'Tuple(
                object String, id String, status String, billing_reason String,
                lines Tuple(has_more Bool, data Array(Tuple(
                    amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),
                    parent Tuple(type String, subscription_item_details Tuple(proration Bool)),
                    discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),
                    taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool))))))') AS invoice
        FROM stripe_events
        WHERE startsWith(type, 'invoice.')
    )
    WHERE invoice.object = 'invoice' AND invoice.status NOT IN ('', 'draft') AND notEmpty(lines)
        -- Those that recur come after what is prorated or bought once, and the event has ten.
        AND (notEmpty(recurring) OR NOT invoice.lines.has_more)
);

-- Those of the events that are stored.
INSERT INTO invoice_periods (workspace, livemode, invoice_id, nets, days, total, version)
SELECT
    workspace, livemode, invoice.id AS invoice_id,
    arrayMap(line -> line.2, recurring) AS nets,
    arrayMap(line -> line.3, recurring) AS days,
    arraySum(line -> line.2, lines) AS total,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace, livemode, created, invoice,
        -- 1: it recurs; 2: a proration; 0: neither. Up to API 2025-02 a line has a type, from basil (2025-03-31) on a parent.
        arrayMap(line -> (
            multiIf(line.type != 'subscription' AND line.parent.type != 'subscription_item_details', 0,
                line.proration OR line.parent.subscription_item_details.proration, 2, 1),
            line.amount
                - arraySum(part -> part.amount, line.discount_amounts)
                - arraySum(part -> if(part.type = 'discount', 0, part.amount), line.pretax_credit_amounts)
                - if(empty(line.taxes),
                    arraySum(part -> if(part.inclusive, part.amount, 0), line.tax_amounts),
                    arraySum(part -> if(part.tax_behavior = 'inclusive', part.amount, 0), line.taxes)),
            toUInt32(greatest(1, intDiv(line.period.end - line.period.start + 43200, 86400)))
        ), invoice.lines.data) AS lines,
        arrayFilter(line -> line.1 = 1, lines) AS regular,
        if(empty(regular) AND invoice.billing_reason = 'subscription_create', arrayFilter(line -> line.1 = 2, lines), regular) AS recurring
    FROM
    (
        SELECT
            workspace, livemode, created,
            JSONExtract(body, 'data', 'object', 'Tuple(
                object String, id String, status String, billing_reason String,
                lines Tuple(has_more Bool, data Array(Tuple(
                    amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),
                    parent Tuple(type String, subscription_item_details Tuple(proration Bool)),
                    discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),
                    taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool))))))') AS invoice
        FROM stripe_events
        WHERE startsWith(type, 'invoice.')
    )
    WHERE invoice.object = 'invoice' AND invoice.status NOT IN ('', 'draft') AND notEmpty(lines)
        -- Those that recur come after what is prorated or bought once, and the event has ten.
        AND (notEmpty(recurring) OR NOT invoice.lines.has_more)
);
