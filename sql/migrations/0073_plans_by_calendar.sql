-- +goose Up
-- A plan of four weeks counted as monthly, because February has 28 days, too. What a plan is, is said by its price or by the calendar. Shipping,
-- which is in the invoice and in no line, counted as if it recurred, and so did what is bought once where the event has not all lines.
ALTER TABLE invoice_periods
    ADD COLUMN IF NOT EXISTS months Array(UInt16) COMMENT 'Whole months of the period of each of these lines; 0: it counts by its days. 28 to 31 days may be a month although the plan is of days or weeks, where only the calendar says it' AFTER days,
    MODIFY COLUMN total Int64 COMMENT 'Minor units without tax, discounts subtracted, of the whole invoice, shipping included';

ALTER TABLE invoice_periods_mv MODIFY QUERY
SELECT
    workspace, livemode, invoice.id AS invoice_id,
    arrayMap(line -> line.2, recurring) AS nets,
    arrayMap(line -> line.3, recurring) AS days,
    arrayMap(line -> line.4, recurring) AS months,
    if(invoice.lines.has_more, ifNull(whole, seen + shipping), seen + shipping) AS total,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace, livemode, created, invoice,
        arrayMap(line -> toUInt32(greatest(1, intDiv(line.period.end - line.period.start + 43200, 86400))), invoice.lines.data) AS periods,
        -- 1: it recurs; 2: a proration; 0: neither. Up to API 2025-02 a line has a type, from basil (2025-03-31) on a parent.
        arrayMap((line, period) -> (
            multiIf(line.type != 'subscription' AND line.parent.type != 'subscription_item_details', 0,
                line.proration OR line.parent.subscription_item_details.proration, 2, 1),
            line.amount
                - arraySum(part -> part.amount, line.discount_amounts)
                - arraySum(part -> if(part.type = 'discount', 0, part.amount), line.pretax_credit_amounts)
                - if(empty(line.taxes),
                    arraySum(part -> if(part.inclusive, part.amount, 0), line.tax_amounts),
                    arraySum(part -> if(part.tax_behavior = 'inclusive', part.amount, 0), line.taxes)),
            period,
            -- Whole months: as many days as those have, and by the interval of the price, which lines have up to API 2025-02, or by the calendar.
            -- A month that begins on the 31st ends on the last day of the next. Twelve hours later both ends have the same day where one of them
            -- is an hour before midnight and the other, in summer time, two. A proration says nothing of the plan.
            toUInt16(if(period < 25 OR abs(period * 12 - intDiv(period * 12 + 182, 365) * 365) > 30
                OR NOT multiIf(line.proration OR line.parent.subscription_item_details.proration, true,
                    line.price.recurring.interval != '' OR line.plan.interval != '',
                    line.price.recurring.interval IN ('month', 'year') OR line.plan.interval IN ('month', 'year'),
                    arrayExists(shift -> (
                            toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) = toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))
                            OR toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) > toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))
                                AND toDayOfMonth(toDateTime(line.period.end + shift + 86400, 'UTC')) = 1
                            OR toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) < toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))
                                AND toDayOfMonth(toDateTime(line.period.start + shift + 86400, 'UTC')) = 1
                        ), [0, 43200])),
                0, intDiv(period * 12 + 182, 365)))
        ), invoice.lines.data, periods) AS lines,
        arraySum(line -> line.2, lines) AS seen,
        invoice.shipping_cost.amount_total - invoice.shipping_cost.amount_tax AS shipping,
        coalesce(invoice.total_excluding_tax, invoice.total - multiIf(
            notEmpty(invoice.total_taxes), arraySum(part -> part.amount, invoice.total_taxes),
            notEmpty(invoice.total_tax_amounts), arraySum(part -> part.amount, invoice.total_tax_amounts),
            ifNull(invoice.tax, 0))) AS whole,
        arrayFilter(line -> line.1 = 1, lines) AS regular,
        -- What is prorated or bought once stands before what recurs, and an event has ten lines. So where it has one that recurs, those that it
        -- does not have recur, too.
        if(invoice.lines.has_more AND notEmpty(regular), greatest(ifNull(whole, 0) - shipping - seen, 0), 0) AS unseen,
        multiIf(
            unseen > 0, arrayPushBack(regular, (regular[-1].1, unseen, regular[-1].3, regular[-1].4)),
            empty(regular) AND invoice.billing_reason = 'subscription_create', arrayFilter(line -> line.1 = 2, lines),
            regular) AS recurring
    FROM
    (
        SELECT
            workspace, livemode, created,
            JSONExtract(body, 'data', 'object', 'Tuple(
                object String, id String, status String, billing_reason String,
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
    WHERE invoice.object = 'invoice' AND invoice.status NOT IN ('', 'draft') AND notEmpty(lines)
        AND (notEmpty(recurring) OR NOT invoice.lines.has_more)
);

-- Those of the events that are stored.
INSERT INTO invoice_periods (workspace, livemode, invoice_id, nets, days, months, total, version)
SELECT
    workspace, livemode, invoice.id AS invoice_id,
    arrayMap(line -> line.2, recurring) AS nets,
    arrayMap(line -> line.3, recurring) AS days,
    arrayMap(line -> line.4, recurring) AS months,
    if(invoice.lines.has_more, ifNull(whole, seen + shipping), seen + shipping) AS total,
    toUInt64(toUnixTimestamp(created)) AS version
FROM
(
    SELECT
        workspace, livemode, created, invoice,
        arrayMap(line -> toUInt32(greatest(1, intDiv(line.period.end - line.period.start + 43200, 86400))), invoice.lines.data) AS periods,
        -- 1: it recurs; 2: a proration; 0: neither. Up to API 2025-02 a line has a type, from basil (2025-03-31) on a parent.
        arrayMap((line, period) -> (
            multiIf(line.type != 'subscription' AND line.parent.type != 'subscription_item_details', 0,
                line.proration OR line.parent.subscription_item_details.proration, 2, 1),
            line.amount
                - arraySum(part -> part.amount, line.discount_amounts)
                - arraySum(part -> if(part.type = 'discount', 0, part.amount), line.pretax_credit_amounts)
                - if(empty(line.taxes),
                    arraySum(part -> if(part.inclusive, part.amount, 0), line.tax_amounts),
                    arraySum(part -> if(part.tax_behavior = 'inclusive', part.amount, 0), line.taxes)),
            period,
            -- Whole months: as many days as those have, and by the interval of the price, which lines have up to API 2025-02, or by the calendar.
            -- A month that begins on the 31st ends on the last day of the next. Twelve hours later both ends have the same day where one of them
            -- is an hour before midnight and the other, in summer time, two. A proration says nothing of the plan.
            toUInt16(if(period < 25 OR abs(period * 12 - intDiv(period * 12 + 182, 365) * 365) > 30
                OR NOT multiIf(line.proration OR line.parent.subscription_item_details.proration, true,
                    line.price.recurring.interval != '' OR line.plan.interval != '',
                    line.price.recurring.interval IN ('month', 'year') OR line.plan.interval IN ('month', 'year'),
                    arrayExists(shift -> (
                            toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) = toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))
                            OR toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) > toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))
                                AND toDayOfMonth(toDateTime(line.period.end + shift + 86400, 'UTC')) = 1
                            OR toDayOfMonth(toDateTime(line.period.start + shift, 'UTC')) < toDayOfMonth(toDateTime(line.period.end + shift, 'UTC'))
                                AND toDayOfMonth(toDateTime(line.period.start + shift + 86400, 'UTC')) = 1
                        ), [0, 43200])),
                0, intDiv(period * 12 + 182, 365)))
        ), invoice.lines.data, periods) AS lines,
        arraySum(line -> line.2, lines) AS seen,
        invoice.shipping_cost.amount_total - invoice.shipping_cost.amount_tax AS shipping,
        coalesce(invoice.total_excluding_tax, invoice.total - multiIf(
            notEmpty(invoice.total_taxes), arraySum(part -> part.amount, invoice.total_taxes),
            notEmpty(invoice.total_tax_amounts), arraySum(part -> part.amount, invoice.total_tax_amounts),
            ifNull(invoice.tax, 0))) AS whole,
        arrayFilter(line -> line.1 = 1, lines) AS regular,
        -- What is prorated or bought once stands before what recurs, and an event has ten lines. So where it has one that recurs, those that it
        -- does not have recur, too.
        if(invoice.lines.has_more AND notEmpty(regular), greatest(ifNull(whole, 0) - shipping - seen, 0), 0) AS unseen,
        multiIf(
            unseen > 0, arrayPushBack(regular, (regular[-1].1, unseen, regular[-1].3, regular[-1].4)),
            empty(regular) AND invoice.billing_reason = 'subscription_create', arrayFilter(line -> line.1 = 2, lines),
            regular) AS recurring
    FROM
    (
        SELECT
            workspace, livemode, created,
            JSONExtract(body, 'data', 'object', 'Tuple(
                object String, id String, status String, billing_reason String,
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
    WHERE invoice.object = 'invoice' AND invoice.status NOT IN ('', 'draft') AND notEmpty(lines)
        AND (notEmpty(recurring) OR NOT invoice.lines.has_more)
);
