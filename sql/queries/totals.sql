-- What did a stretch of time bring altogether?
-- Net revenue is booked money without tax, refunds and disputes subtracted when they happened; money without a rate is not in
-- it (see without_rate). refunds_usd and disputes_usd are parts of net_usd. epc: net USD a click. conversion: sales a click.
SELECT
    c.clicks AS clicks,
    c.visitors AS visitors,
    l.leads AS leads,
    r.sales AS sales,
    r.net_usd AS net_usd,
    r.refunds_usd AS refunds_usd,
    r.disputes_usd AS disputes_usd,
    r.net_usd / nullIf(c.clicks, 0) AS epc,
    round(r.sales / nullIf(c.clicks, 0), 6) AS conversion
FROM
(
    SELECT uniqCombined64Merge(h.clicks) AS clicks, uniqCombined64Merge(h.visitors) AS visitors
    FROM clicks_hourly AS h
    WHERE h.workspace = {workspace:String} AND h.hour >= {from:DateTime('UTC')} AND h.hour < {to:DateTime('UTC')}
) AS c
CROSS JOIN
(
    SELECT sum(a.quantity) AS leads
    FROM leads_attributed AS a FINAL
    WHERE a.workspace = {workspace:String} AND a.received_at >= {from:DateTime('UTC')} AND a.received_at < {to:DateTime('UTC')}
) AS l
CROSS JOIN
(
    SELECT
        countIf(v.kind = 'payment') AS sales,
        toDecimal128(ifNull(sum(v.net_usd), 0), 6) AS net_usd,
        toDecimal128(ifNull(sumIf(v.net_usd, v.kind IN ('refund', 'refund_reversal')), 0), 6) AS refunds_usd,
        toDecimal128(ifNull(sumIf(v.net_usd, v.kind IN ('dispute', 'dispute_reversal')), 0), 6) AS disputes_usd
    FROM revenue AS v FINAL
    WHERE v.workspace = {workspace:String} AND v.status = 'booked' AND v.livemode = {livemode:Bool}
        AND v.occurred_at >= {from:DateTime('UTC')} AND v.occurred_at < {to:DateTime('UTC')}
) AS r
SETTINGS optimize_move_to_prewhere_if_final = 0
