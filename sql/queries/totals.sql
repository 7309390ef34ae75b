-- What did a stretch of time bring altogether?
-- clicks: arrivals; one that a visitor repeats within an hour is the same click. page_views: other pages that were shown. visitors:
-- of both. net_usd: all booked money without tax, refunds and disputes subtracted when they happened; money without a rate is not in
-- it (see without_rate). leads: persons whom a backend or Stripe reported. public_leads: persons whom only browsers reported, so that
-- anybody may have invented them; live mode only. refunds and disputes: how many. epc (net USD a click) and conversion (sales a click) count attributed
-- money only, because the rest did not come from these clicks as far as anybody knows; without a click they divide by one.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT
    c.clicks AS clicks,
    c.visitors AS visitors,
    c.page_views AS page_views,
    l.leads AS leads,
    p.public_leads AS public_leads,
    r.sales AS sales,
    r.refunds AS refunds,
    r.disputes AS disputes,
    round(r.net, 2)::Decimal(38, 2) AS net_usd,
    round(r.attributed_net / greatest(c.clicks, 1), 4)::Decimal(38, 4) AS epc,
    round(toDecimal128(r.attributed_sales, 8) / greatest(c.clicks, 1), 4)::Decimal(38, 4) AS conversion
FROM
(
    SELECT sum(d.clicks) AS clicks, sum(d.page_views) AS page_views, uniqMerge(d.visitors) AS visitors
    FROM clicks_by_dimension(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimensions = [''], stored = true) AS d
) AS c
CROSS JOIN
(
    SELECT sum(a.quantity) AS leads
    FROM people AS a
    WHERE a.workspace = {workspace:String} AND a.livemode = {livemode:Bool} AND a.received_at >= {from:DateTime('UTC')} AND a.received_at < {to:DateTime('UTC')}
) AS l
CROSS JOIN
(
    SELECT sum(b.quantity) AS public_leads
    FROM public_leads AS b
    WHERE b.workspace = {workspace:String} AND {livemode:Bool} AND b.received_at >= {from:DateTime('UTC')} AND b.received_at < {to:DateTime('UTC')}
) AS p
CROSS JOIN
(
    SELECT
        uniqExactIf(v.sale_id, v.kind = 'payment') AS sales,
        countIf(v.kind = 'refund') AS refunds,
        countIf(v.kind = 'dispute') AS disputes,
        uniqExactIf(v.sale_id, v.kind = 'payment' AND v.match_rule NOT IN ('', 'none')) AS attributed_sales,
        toDecimal128(sum(ifNull(v.net_usd, toDecimal64(0, 6))), 6) AS net,
        toDecimal128(sumIf(ifNull(v.net_usd, toDecimal64(0, 6)), v.match_rule NOT IN ('', 'none')), 6) AS attributed_net
    FROM revenue AS v FINAL
    WHERE v.workspace = {workspace:String} AND v.status = 'booked' AND v.amount != 0 AND v.livemode = {livemode:Bool}
        AND v.day >= toDate({from:DateTime('UTC')}) AND v.day <= toDate({to:DateTime('UTC')})
        AND v.occurred_at >= {from:DateTime('UTC')} AND v.occurred_at < {to:DateTime('UTC')}
) AS r
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
