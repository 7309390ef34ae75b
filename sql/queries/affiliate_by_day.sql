-- What did one affiliate's clicks bring each day?
-- Days are UTC; from and to: on the hour. sales: paid at least in part that day; refunds: entries that took money back, disputes
-- among them, when they happened. net_usd: credited money without tax, refunds subtracted; money without a rate is not in it. A
-- day on which nothing happened has no row.
-- @param workspace String: whose data
-- @param affiliate String: whose figures
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT day, sum(c) AS clicks, sum(l) AS leads, sum(s) AS sales, sum(r) AS refunds, round(sum(net), 2)::Decimal(38, 2) AS net_usd
FROM
(
    SELECT toDate(clicked_at) AS day, count() AS c, toUInt64(0) AS l, toUInt64(0) AS s, toUInt64(0) AS r, toDecimal128(0, 6) AS net
    FROM clicks_counted(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
    WHERE affiliate_id = {affiliate:String}
    GROUP BY day
    UNION ALL
    SELECT toDate(p.received_at) AS day, toUInt64(0), toUInt64(sum(p.quantity)), toUInt64(0), toUInt64(0), toDecimal128(0, 6)
    FROM people AS p
    WHERE p.workspace = {workspace:String} AND p.livemode = {livemode:Bool} AND p.affiliate_id = {affiliate:String}
        AND p.received_at >= {from:DateTime('UTC')} AND p.received_at < {to:DateTime('UTC')}
    GROUP BY day
    UNION ALL
    SELECT
        toDate(v.occurred_at) AS day, toUInt64(0), toUInt64(0), uniqExactIf(v.sale_id, v.kind = 'payment'),
        countIf(v.kind IN ('refund', 'dispute')), toDecimal128(sum(ifNull(v.net_usd, toDecimal64(0, 6))), 6)
    FROM revenue AS v FINAL
    WHERE v.workspace = {workspace:String} AND v.status = 'booked' AND v.amount != 0 AND v.livemode = {livemode:Bool}
        AND v.affiliate_id = {affiliate:String} AND v.match_rule NOT IN ('', 'none')
        AND v.occurred_at >= {from:DateTime('UTC')} AND v.occurred_at < {to:DateTime('UTC')}
    GROUP BY day
)
GROUP BY day
ORDER BY day
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
