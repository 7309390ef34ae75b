CREATE MATERIALIZED VIEW invoice_periods_mv TO invoice_periods
(
    `workspace` LowCardinality(String),
    `livemode` Bool,
    `invoice_id` String,
    `nets` Array(Int64),
    `days` Array(UInt32),
    `total` Int64,
    `version` UInt64
)
COMMENT 'Fills invoice_periods with the invoices of each insert'
AS SELECT
    workspace,
    livemode,
    invoice.id AS invoice_id,
    arrayMap(line -> (line.2), recurring) AS nets,
    arrayMap(line -> (line.3), recurring) AS days,
    arraySum(line -> (line.2), lines) AS total,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace,
        livemode,
        created,
        invoice,
        arrayMap(line -> (multiIf((line.type != 'subscription') AND (line.parent.type != 'subscription_item_details'), 0, line.proration OR line.parent.subscription_item_details.proration, 2, 1), ((line.amount - arraySum(part -> part.amount, line.discount_amounts)) - arraySum(part -> if(part.type = 'discount', 0, part.amount), line.pretax_credit_amounts)) - if(empty(line.taxes), arraySum(part -> if(part.inclusive, part.amount, 0), line.tax_amounts), arraySum(part -> if(part.tax_behavior = 'inclusive', part.amount, 0), line.taxes)), toUInt32(greatest(1, intDiv((line.period.end - line.period.start) + 43200, 86400)))), invoice.lines.data) AS lines,
        arrayFilter(line -> ((line.1) = 1), lines) AS regular,
        if(empty(regular) AND (invoice.billing_reason = 'subscription_create'), arrayFilter(line -> ((line.1) = 2), lines), regular) AS recurring
    FROM
    (
        SELECT
            workspace,
            livemode,
            created,
            JSONExtract(body, 'data', 'object', 'Tuple(\n                object String, id String, status String, billing_reason String,\n                lines Tuple(has_more Bool, data Array(Tuple(\n                    amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),\n                    parent Tuple(type String, subscription_item_details Tuple(proration Bool)),\n                    discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),\n                    taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool))))))') AS invoice
        FROM stripe_events
        WHERE startsWith(type, 'invoice.')
    )
    WHERE (invoice.object = 'invoice') AND (invoice.status NOT IN ('', 'draft')) AND notEmpty(lines) AND (notEmpty(recurring) OR (NOT invoice.lines.has_more))
);
