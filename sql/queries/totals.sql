-- What did a stretch of time bring altogether?
-- clicks: arrivals; one that a visitor repeats within an hour is the same click. page_views: other pages that were shown. visitors:
-- of both. net_usd: all booked money without tax, refunds and disputes subtracted when they happened; money without a rate is not in
-- it (see without_rate). leads: persons whom a backend or Stripe reported. public_leads: persons whom only browsers reported, so that
-- anybody may have invented them; live mode only. refunds and disputes: how many. epc (net USD a click) and conversion (sales a click) count attributed
-- money only, because the rest did not come from these clicks as far as anybody knows; without a click they divide by one. epc is NULL where none of that money has a rate.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT
    sum(c) AS clicks,
    sum(v) AS visitors,
    sum(w) AS page_views,
    sum(l) AS leads,
    sum(p) AS public_leads,
    sum(s) AS sales,
    sum(f) AS refunds,
    sum(d) AS disputes,
    round(sum(net), 2)::Decimal(38, 2) AS net_usd,
    if(max(unrated), NULL, round(sum(attributed_net) / greatest(clicks, 1), 4)::Decimal(38, 4)) AS epc,
    round(toDecimal128(sum(attributed_sales), 8) / greatest(clicks, 1), 4)::Decimal(38, 4) AS conversion
FROM
(
    SELECT
        sum(r.clicks) AS c, uniqMerge(r.visitors) AS v, sum(r.page_views) AS w, toUInt64(0) AS l, toUInt64(0) AS p, toUInt64(0) AS s,
        toUInt64(0) AS f, toUInt64(0) AS d, toUInt64(0) AS attributed_sales, toDecimal128(0, 6) AS net, toDecimal128(0, 6) AS attributed_net, toUInt8(0) AS unrated
    FROM clicks_by_dimension(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimensions = [''], stored = true) AS r
    UNION ALL
    SELECT toUInt64(0), toUInt64(0), toUInt64(0), sum(quantity), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), toDecimal128(0, 6), toDecimal128(0, 6), toUInt8(0)
    FROM people
    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
    UNION ALL
    SELECT toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), sum(quantity), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), toDecimal128(0, 6), toDecimal128(0, 6), toUInt8(0)
    FROM public_leads
    WHERE workspace = {workspace:String} AND {livemode:Bool} AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
    UNION ALL
    SELECT
        toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0),
        uniqExactIf(sale_id, kind = 'payment'),
        countIf(kind = 'refund'),
        countIf(kind = 'dispute'),
        uniqExactIf(sale_id, kind = 'payment' AND match_rule NOT IN ('', 'none')),
        toDecimal128(sum(ifNull(net_usd, toDecimal64(0, 6))), 6),
        toDecimal128(sumIf(ifNull(net_usd, toDecimal64(0, 6)), match_rule NOT IN ('', 'none')), 6),
        minIf(net_usd IS NULL, match_rule NOT IN ('', 'none'))
    FROM revenue FINAL
    WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool}
        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
        AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
)
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
