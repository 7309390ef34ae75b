-- How did monthly recurring revenue change, and how much of it churned?
-- One row for each month: mrr_usd at its end, and what changed it: new subscriptions, those that came back, those that pay more or less,
-- and those that ended. Computed from paid invoices of subscriptions, net USD without tax. Lines of an invoice that recur count for
-- their period (a yearly plan: a twelfth each month), in force until that has passed since the payment, and seven days more, in which
-- Stripe tries again to collect the next; prorations and what is bought once are left out. Where no event with the invoice's lines is
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
    SELECT
        buyer, name, begin, end,
        -- The invoice in force at a point in time is the last one before it, if its time is not over.
        if(begin <= now64() AND now64() < end, now64(), end) AS until,
        arrayMap(at -> arrayLast(i -> i.1 < at, invoices), [begin, until]) AS in_force,
        if(in_force[1].1 > toDateTime64(0, 3) AND in_force[1].3 >= begin, in_force[1].2, toDecimal128(0, 6)) AS before,
        if(in_force[2].1 > toDateTime64(0, 3) AND in_force[2].3 >= until, in_force[2].2, toDecimal128(0, 6)) AS mrr,
        invoices[1].1 < begin AS ever
    FROM
    (
        SELECT
            buyer, name,
            arrayMap((at, net, lines, longest) -> if(longest > 0,
                (
                    at,
                    -- Other periods than months are counted in weeks, of which a month has 52 twelfths.
                    arraySum(line -> if(line.3 > 0 AND NOT has(no_months, line.2), line.1 / greatest(line.3, 1), line.1 * 91 / (3 * line.2)), lines)::Decimal(38, 6),
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
                subscription_id, argMin(i.buyer, (paid_at, sale_id)) AS buyer, argMin(i.name, (paid_at, sale_id)) AS name,
                arraySort(groupArray((paid_at, net, lines, longest))) AS paid,
                -- A plan of 28 days has months' periods in February alone: the subscription's others say what it is.
                groupUniqArrayArray(arrayMap(line -> line.2, arrayFilter(line -> line.3 = 0 AND line.1 != 0, lines))) AS no_months,
                arraySort(groupArrayIf(paid_at, reason != 'subscription_update')) AS times,
                if(length(times) < 2, 30, arrayMin(arrayMap(i -> dateDiff('day', times[i], times[i + 1]), range(1, length(times))))) AS days
            FROM
            (
                SELECT
                    subscription_id, sale_id, reason, e.buyer AS buyer, e.name AS name, paid_at, net,
                    -- The event has lines of which the amount is a part, so they say what recurs.
                    p.total > 0 AS lines_known,
                    multiIf(NOT lines_known, 0, empty(p.days), 30, arrayMax(p.days)) AS longest,
                    -- Of each line that recurs: what it is of the net, days, and months if it is of whole ones.
                    arrayMap((amount, period, whole) -> (toDecimal256(net, 6) * amount / greatest(p.total, 1), period, whole),
                        p.nets, p.days, arrayResize(p.months, length(p.nets))) AS lines,
                    arraySum(line -> line.1, lines) AS recurring
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
                            throwIf(true, 'dimension is one of affiliate, channel, campaign, program')::String
                        ), (occurred_at, object_id)) AS name,
                        min(occurred_at) AS paid_at,
                        sum(toDecimal128(ifNull(e.net_usd, toDecimal64(0, 6)), 6)) AS net
                    FROM revenue AS e FINAL
                    WHERE e.workspace = {workspace:String} AND e.livemode = {livemode:Bool} AND e.status = 'booked' AND e.amount != 0 AND e.kind = 'payment'
                        AND e.subscription_id != '' AND e.billing_reason IN ('subscription_create', 'subscription_cycle', 'subscription_update')
                    GROUP BY subscription_id, sale_id
                    HAVING net > 0
                ) AS e
                LEFT JOIN
                (
                    SELECT invoice_id, nets, days, months, total
                    FROM invoice_periods FINAL
                    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
                ) AS p ON p.invoice_id = e.sale_id
                -- A change of plan counts by its lines alone; one that only prorates begins with the next regular invoice.
                WHERE recurring > 0 OR NOT lines_known AND reason != 'subscription_update' OR lines_known AND reason = 'subscription_cycle'
            ) AS i
            GROUP BY subscription_id
            HAVING notEmpty(paid)
        )
    )
    ARRAY JOIN
        arrayMap(i -> toDateTime64(addMonths(toDateTime(dateTrunc('month', {from:DateTime('UTC')}, {timezone:String}), {timezone:String}), i), 3),
            range(toUInt32(1 + dateDiff('month', {from:DateTime('UTC')}, {to:DateTime('UTC')} - 1, {timezone:String})))) AS begin,
        arrayMap(i -> toDateTime64(addMonths(toDateTime(dateTrunc('month', {from:DateTime('UTC')}, {timezone:String}), {timezone:String}), i + 1), 3),
            range(toUInt32(1 + dateDiff('month', {from:DateTime('UTC')}, {to:DateTime('UTC')} - 1, {timezone:String})))) AS end
)
GROUP BY begin, name
ORDER BY begin, name
SETTINGS optimize_move_to_prewhere_if_final = 0
