-- How did monthly recurring revenue change, and how much of it churned?
-- One row for each month: mrr_usd at its end, and what changed it: new subscriptions, those that came back, those that pay more or less,
-- and those that ended. Computed from paid invoices of subscriptions, net USD without tax; what the customer's balance paid of one counts,
-- too, at the rate of the day where no payment has one. Lines of an invoice that recur count for
-- their period (a yearly plan: a twelfth each month), in force until that has passed since the payment, and seven days more, in which
-- Stripe tries again to collect the next; prorations, shipping and what is bought once are left out. Where no event with the invoice's lines is
-- stored, all of it counts, for the shortest time between two invoices of the subscription, in months or weeks; a month while there is
-- one only. subscriptions, customers: at the month's end. churn_rate: churned of the MRR before; customer_churn: the same of customers.
-- NULL: there was none. Months are those of the time zone, a month that has not ended shows the state of now.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param timezone String = 'UTC': IANA name: where months begin
-- @param dimension String = '': affiliate, channel, campaign or program; empty: all together; of the first invoice
SELECT
    formatDateTime(begin, '%Y-%m', {timezone:String}) AS month,
    name,
    sum(mrr) AS mrr_usd,
    sumIf(mrr, before = 0 AND NOT ever) AS new_usd,
    sumIf(mrr, before = 0 AND ever) AS reactivated_usd,
    sumIf(mrr - before, before > 0 AND mrr > before) AS expansion_usd,
    sumIf(mrr - before, mrr > 0 AND mrr < before) AS contraction_usd,
    sumIf(-before, before > 0 AND mrr = 0) AS churned_usd,
    countIf(mrr > 0) AS subscriptions,
    uniqExactIf(buyer, mrr > 0) AS customers,
    round(-churned_usd / nullIf(sum(before), 0), 4) AS churn_rate,
    round(toDecimal128(length(arrayExcept(groupUniqArrayIf(buyer, before > 0), groupUniqArrayIf(buyer, mrr > 0))), 6)
        / nullIf(uniqExactIf(buyer, before > 0), 0), 4) AS customer_churn
FROM
(
    -- The begins of the months and of the one after. By the calendar, a month after one that begins at 01:00, because clocks are put forward at
    -- midnight, or before it, is an hour off: so the begin of that month.
    WITH arrayMap(i -> toDateTime64(toDateTime(dateTrunc('month', addHours(addMonths(toDateTime(dateTrunc('month', {from:DateTime('UTC')}, {timezone:String}), {timezone:String}), i), 2), {timezone:String}), {timezone:String}), 3),
        range(toUInt32(2 + dateDiff('month', {from:DateTime('UTC')}, {to:DateTime('UTC')} - 1, {timezone:String})))) AS months
    SELECT
        buyer, name, begin, end,
        -- The invoice in force at a point in time is the last one before it, if its time is not over.
        if(begin <= now64() AND now64() < end, now64(), end) AS until,
        arrayLast(i -> i.1 < begin, invoices) AS at_begin,
        arrayLast(i -> i.1 < until, invoices) AS at_end,
        if(at_begin.1 > toDateTime64(0, 3) AND at_begin.3 >= begin, at_begin.2, toDecimal128(0, 6)) AS before,
        if(at_end.1 > toDateTime64(0, 3) AND at_end.3 >= until, at_end.2, toDecimal128(0, 6)) AS mrr,
        arrayExists(i -> i.1 < begin AND i.2 > 0, invoices) AS ever
    FROM
    (
        SELECT subscription.1 AS buyer, subscription.2 AS name, subscription.3 AS invoices
        FROM
        (
            -- One value of all subscriptions: of a subquery each column above would be analysed with all the text of it.
            SELECT arrayJoin((
                SELECT groupArray((buyer, name, invoices))
                FROM
                (
                    SELECT
                        buyer, name,
                        arrayMap((at, net, parts, longest) -> if(longest > 0,
                            (
                                at,
                                -- Other periods than months are counted in weeks, of which a month has 52 twelfths.
                                arraySum(part -> if(part.3 > 0 AND NOT has(no_months, part.2), part.1 / greatest(part.3, 1), part.1 * 91 / (3 * part.2)), parts)::Decimal(38, 6),
                                at + toIntervalDay(longest + 7)
                            ),
                            (
                                at,
                                if(days < 25, net * 52 / (12 * greatest(1, intDivOrZero(days + 3, 7))), net / greatest(1, intDivOrZero(days + 15, 30)))::Decimal(38, 6),
                                if(days < 25, at + toIntervalDay(days + 7), addMonths(at, greatest(1, intDivOrZero(days + 15, 30))) + toIntervalDay(7))
                            )
                        ), paid.1, paid.2, paid.3, paid.4) AS invoices
                    FROM
                    (
                        SELECT
                            subscription_id,
                            argMin(i.buyer, (isNotNull(rate), paid_at, sale_id)) AS buyer, argMin(i.name, (isNotNull(rate), paid_at, sale_id)) AS name,
                            arraySort(groupArray((paid_at, net, parts, longest))) AS paid,
                            -- A plan of 28 days has months' periods in February alone: the subscription's others say what it is.
                            groupUniqArrayArray(arrayFilter(part -> part.3 = 0 AND part.1 != 0, parts).2) AS no_months,
                            arraySort(groupArrayIf(paid_at, reason != 'subscription_update')) AS times,
                            if(length(times) < 2, 30, arrayMin(arrayMap(i -> dateDiff('day', times[i], times[i + 1]), range(1, length(times))))) AS days
                        FROM
                        (
                            SELECT
                                subscription_id, sale_id, reason, e.buyer AS buyer, e.name AS name, paid_at, rate, net,
                                -- A subscription that begins in the middle of a period has a proration alone, up to the day on which all are billed.
                                multiIf(
                                    empty(p.regular), if(reason = 'subscription_create', p.prorated, p.regular),
                                    p.unseen > 0, arrayPushBack(p.regular, (1, p.unseen, p.regular[-1].3, p.regular[-1].4)),
                                    p.regular) AS lines,
                                -- The event has lines of which the amount is a part, so they say what recurs.
                                (p.total > 0 OR isNotNull(rate)) AND (notEmpty(lines) OR NOT p.more) AS lines_known,
                                multiIf(NOT lines_known, 0, empty(lines), 30, arrayMax(lines.3)) AS longest,
                                -- Of each line that recurs: what it is of the net, days, and months if it is of whole ones. Payments may be less than the
                                -- invoice, by what the customer's balance pays, or more, by what was owed from before or paid too much.
                                arrayMap(line -> (multiIf(
                                        isNotNull(rate), CAST(roundBankers(toDecimal256(line.2, 24) * assumeNotNull(rate), 6), 'Decimal(76, 6)'),
                                        p.due > 0, toDecimal256(net, 6) * line.2 * greatest(p.due + p.balance, 0) / greatest(p.total, 1)
                                            / greatest(p.due, if(e.currency = p.currency, e.amount, 0)),
                                        toDecimal256(net, 6) * line.2 / greatest(p.total, 1)), line.3, line.4), lines) AS parts,
                                arraySum(parts.1) AS recurring
                            FROM
                            (
                                SELECT
                                    subscription_id, sale_id, any(billing_reason) AS reason,
                                    argMin(multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, subscription_id), (occurred_at, object_id)) AS buyer,
                                    argMin(multiIf(
                                        {dimension:String} = 'affiliate', affiliate_id,
                                        {dimension:String} = 'channel', toString(channel),
                                        {dimension:String} = 'campaign', toString(utm_campaign),
                                        {dimension:String} = 'program', toString(program_id),
                                        {dimension:String} = '', '',
                                        (SELECT throwIf({dimension:String} NOT IN ('', 'affiliate', 'channel', 'campaign', 'program'), 'dimension is one of affiliate, channel, campaign, program'))::String
                                    ), (occurred_at, object_id)) AS name,
                                    min(occurred_at) AS paid_at,
                                    sum(toDecimal128(ifNull(e.net_usd, toDecimal64(0, 6)), 6)) AS net,
                                    sum(e.amount) AS amount, any(e.currency) AS currency,
                                    CAST(NULL, 'Nullable(Decimal(38, 18))') AS rate
                                FROM revenue AS e FINAL
                                WHERE e.workspace = {workspace:String} AND e.livemode = {livemode:Bool} AND e.status = 'booked' AND e.amount != 0 AND e.kind = 'payment'
                                    AND e.subscription_id != '' AND e.billing_reason IN ('subscription_create', 'subscription_cycle', 'subscription_update')
                                GROUP BY subscription_id, sale_id
                                HAVING net > 0
                                UNION ALL
                                -- Of which nothing was due. rate: USD of a minor unit, less what a credit note took off before. Minor units by Stripe's rules,
                                -- as in processor/fx/exponents.csv.
                                SELECT
                                    subscription_id, invoice_id, b.billing_reason, subscription_id, '', toDateTime64(b.paid_at, 3, 'UTC'),
                                    toDecimal128(0, 6), toInt64(0), b.currency,
                                    CAST(multiIf(b.currency = 'usd', toDecimal256(1, 18), toDate(b.paid_at) > r.day + 7, toDecimal256(0, 18), toDecimal256(r.usd, 18))
                                        * if(b.total > 0, greatest(b.balance, 0), 1) / if(b.total > 0, b.total, 1)
                                        / multiIf(
                                            b.currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'), 1,
                                            b.currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd'), 1000, 100), 'Nullable(Decimal(38, 18))')
                                FROM
                                (
                                    SELECT subscription_id, invoice_id, billing_reason, paid_at, currency, total, balance, toDate(paid_at) AS day
                                    FROM invoice_periods FINAL
                                    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND due = 0 AND paid_at > toDateTime(0, 'UTC')
                                        AND subscription_id != '' AND billing_reason IN ('subscription_create', 'subscription_cycle', 'subscription_update')
                                ) AS b
                                ASOF LEFT JOIN (SELECT currency, day, usd FROM day_rates FINAL) AS r ON r.currency = b.currency AND b.day >= r.day
                            ) AS e
                            LEFT JOIN
                            (
                                -- What is prorated or bought once stands before what recurs, and an event has ten lines. So where it has one that recurs,
                                -- those that it does not have recur, too.
                                SELECT
                                    invoice_id, due, balance, currency, more, regular, prorated,
                                    if(more, ifNull(whole, seen), seen) AS total, greatest(total - seen, 0) AS unseen
                                FROM
                                (
                                    SELECT
                                        invoice_id, due, balance, currency, more, whole,
                                        arrayFilter(line -> line.1 = 1, known) AS regular, arrayFilter(line -> line.1 = 2, known) AS prorated,
                                        arraySum(known.2) + shipping AS seen
                                    FROM
                                    (
                                        SELECT
                                            invoice_id, due, balance, currency, more, whole, shipping,
                                            arrayMap((line, kind, period, whole_months) -> (
                                                kind,
                                                line.amount
                                                    - arraySum(line.discount_amounts.amount)
                                                    - arraySum(part -> if(part.type = 'discount', 0, part.amount), line.pretax_credit_amounts)
                                                    - arraySum(part -> if(part.tax_behavior = 'inclusive', part.amount, 0), line.taxes)
                                                    - if(empty(line.taxes), arraySum(part -> if(part.inclusive, part.amount, 0), line.tax_amounts), 0),
                                                period,
                                                -- Whole months: as many days as those have, and by the interval of the price, which lines have up to API
                                                -- 2025-02, or by the calendar, summer time left aside: a month that begins on the 31st ends on the last day
                                                -- of the next, and the one after it on the 31st again. A proration says nothing of the plan.
                                                toUInt16(if(period >= 25 AND abs(period * 12 - whole_months * 365) <= 30 AND multiIf(
                                                        kind = 2, true,
                                                        line.price.recurring.interval != '' OR line.plan.interval != '',
                                                        line.price.recurring.interval IN ('month', 'year') OR line.plan.interval IN ('month', 'year'),
                                                        abs(toInt64(addMonths(toDateTime(line.period.start, 'UTC'), whole_months)) - line.period.end) < 43200
                                                            OR abs(toInt64(addMonths(toDateTime(line.period.end, 'UTC'), -whole_months)) - line.period.start) < 43200),
                                                    whole_months, 0))
                                            ), lines, kinds, periods, arrayMap(period -> intDiv(period * 12 + 182, 365), periods)) AS known
                                        FROM
                                        (
                                            SELECT
                                                invoice_id, due, balance, currency, more, whole, shipping, lines,
                                                arrayMap(line -> toUInt32(greatest(1, intDiv(line.period.end - line.period.start + 43200, 86400))), lines) AS periods,
                                                -- 1: it recurs; 2: a proration; 0: neither. Up to API 2025-02 a line has a type, from basil (2025-03-31) on a parent.
                                                arrayMap(line -> multiIf(
                                                    line.type != 'subscription' AND line.parent.type != 'subscription_item_details', 0,
                                                    line.proration OR line.parent.subscription_item_details.proration, 2, 1), lines) AS kinds
                                            FROM invoice_periods FINAL
                                            WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
                                        )
                                    )
                                )
                            ) AS p ON p.invoice_id = e.sale_id
                            -- A change of plan counts by its lines alone; one that only prorates begins with the next regular invoice.
                            WHERE lines_known AND recurring > 0 OR NOT lines_known AND reason != 'subscription_update' OR lines_known AND reason = 'subscription_cycle'
                        ) AS i
                        GROUP BY subscription_id
                        HAVING notEmpty(paid)
                    )
                )
            )) AS subscription
        )
    )
    ARRAY JOIN
        arrayPopBack(months) AS begin,
        arrayPopFront(months) AS end
)
GROUP BY begin, name
ORDER BY begin, name
SETTINGS optimize_move_to_prewhere_if_final = 0
