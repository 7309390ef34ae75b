-- How many clicks, sales and how much net revenue (USD) did each step of time bring?
-- step: seconds, a multiple of 3600. from and to: on the hour. A step in which nothing happened has no row.
SELECT at, sum(c) AS clicks, sum(s) AS sales, toDecimalString(round(sum(net), 2), 2) AS net_usd
FROM
(
    SELECT
        toStartOfInterval(h.hour, toIntervalSecond({step:UInt32})) AS at,
        uniqCombined64Merge(h.clicks) AS c,
        0 AS s,
        toDecimal128(0, 6) AS net
    FROM clicks_hourly AS h
    WHERE h.workspace = {workspace:String} AND h.hour >= {from:DateTime('UTC')} AND h.hour < {to:DateTime('UTC')}
    GROUP BY at
    UNION ALL
    SELECT
        toStartOfInterval(toDateTime(r.occurred_at, 'UTC'), toIntervalSecond({step:UInt32})) AS at,
        0,
        uniqExactIf(r.sale_id, r.kind = 'payment'),
        toDecimal128(sum(ifNull(r.net_usd, toDecimal64(0, 6))), 6)
    FROM revenue AS r FINAL
    WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
        AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
    GROUP BY at
)
GROUP BY at
ORDER BY at
SETTINGS optimize_move_to_prewhere_if_final = 0
