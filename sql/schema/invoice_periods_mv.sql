CREATE MATERIALIZED VIEW invoice_periods_mv TO invoice_periods
(
    `workspace` LowCardinality(String),
    `livemode` Bool,
    `invoice_id` String,
    `nets` Array(Int64),
    `days` Array(UInt32),
    `months` Array(UInt16),
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
    arrayMap(line -> (line.4), recurring) AS months,
    if(invoice.lines.has_more, ifNull(whole, seen + shipping), seen + shipping) AS total,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace,
        livemode,
        created,
        invoice,
        arrayMap(line -> toUInt32(greatest(1, intDiv((line.period.end - line.period.start) + 43200, 86400))), invoice.lines.data) AS periods,
        arrayMap((line, period) -> (multiIf((line.type != 'subscription') AND (line.parent.type != 'subscription_item_details'), 0, line.proration OR line.parent.subscription_item_details.proration, 2, 1), ((line.amount - arraySum(part -> part.amount, line.discount_amounts)) - arraySum(part -> if(part.type = 'discount', 0, part.amount), line.pretax_credit_amounts)) - if(empty(line.taxes), arraySum(part -> if(part.inclusive, part.amount, 0), line.tax_amounts), arraySum(part -> if(part.tax_behavior = 'inclusive', part.amount, 0), line.taxes)), period, toUInt16(if((period < 25) OR (abs((period * 12) - (intDiv((period * 12) + 182, 365) * 365)) > 30) OR (NOT multiIf(line.proration OR line.parent.subscription_item_details.proration, true, (line.price.recurring.interval != '') OR (line.plan.interval != ''), (line.price.recurring.interval IN ('month', 'year')) OR (line.plan.interval IN ('month', 'year')), arrayExists(shift -> ((toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) = toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))) OR ((toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) > toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))) AND (toDayOfMonth(toDateTime((line.period.end + shift) + 86400, 'UTC')) = 1)) OR ((toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) < toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))) AND (toDayOfMonth(toDateTime((line.period.start + shift) + 86400, 'UTC')) = 1))), [0, 43200]))), 0, intDiv((period * 12) + 182, 365)))), invoice.lines.data, periods) AS lines,
        arraySum(line -> (line.2), lines) AS seen,
        invoice.shipping_cost.amount_total - invoice.shipping_cost.amount_tax AS shipping,
        coalesce(invoice.total_excluding_tax, invoice.total - multiIf(notEmpty(invoice.total_taxes), arraySum(part -> part.amount, invoice.total_taxes), notEmpty(invoice.total_tax_amounts), arraySum(part -> part.amount, invoice.total_tax_amounts), ifNull(invoice.tax, 0))) AS whole,
        arrayFilter(line -> ((line.1) = 1), lines) AS regular,
        if(invoice.lines.has_more AND notEmpty(regular), greatest((ifNull(whole, 0) - shipping) - seen, 0), 0) AS unseen,
        multiIf(unseen > 0, arrayPushBack(regular, ((regular[-1]).1, unseen, (regular[-1]).3, (regular[-1]).4)), empty(regular) AND (invoice.billing_reason = 'subscription_create'), arrayFilter(line -> ((line.1) = 2), lines), regular) AS recurring
    FROM
    (
        SELECT
            workspace,
            livemode,
            created,
            JSONExtract(body, 'data', 'object', 'Tuple(\n                object String, id String, status String, billing_reason String,\n                total Nullable(Int64), total_excluding_tax Nullable(Int64), tax Nullable(Int64),\n                total_taxes Array(Tuple(amount Int64)), total_tax_amounts Array(Tuple(amount Int64)),\n                shipping_cost Tuple(amount_total Int64, amount_tax Int64),\n                lines Tuple(has_more Bool, data Array(Tuple(\n                    amount Int64, type String, proration Bool, period Tuple(start Int64, end Int64),\n                    price Tuple(recurring Tuple(interval String)), plan Tuple(interval String),\n                    parent Tuple(type String, subscription_item_details Tuple(proration Bool)),\n                    discount_amounts Array(Tuple(amount Int64)), pretax_credit_amounts Array(Tuple(amount Int64, type String)),\n                    taxes Array(Tuple(amount Int64, tax_behavior String)), tax_amounts Array(Tuple(amount Int64, inclusive Bool))))))') AS invoice
        FROM stripe_events
        WHERE startsWith(type, 'invoice.')
    )
    WHERE (invoice.object = 'invoice') AND (invoice.status NOT IN ('', 'draft')) AND notEmpty(lines) AND (notEmpty(recurring) OR (NOT invoice.lines.has_more))
);
