-- How many clicks, sales and how much net revenue (USD) did each step of time bring?
-- As timeseries, for the last three days only. step: seconds, a multiple of 60. from and to: on the minute. A step in which
-- nothing happened has no row.
SELECT at, sum(clicks) AS clicks, sum(sales) AS sales, sum(net_usd) AS net_usd
FROM
(
    SELECT
        toStartOfInterval(c.minute, toIntervalSecond({step:UInt32})) AS at,
        uniqCombined64Merge(c.clicks) AS clicks,
        0 AS sales,
        toDecimal128(0, 6) AS net_usd
    FROM clicks_minutely AS c
    WHERE c.workspace = {workspace:String} AND c.minute >= {from:DateTime('UTC')} AND c.minute < {to:DateTime('UTC')}
    GROUP BY at
    UNION ALL
    SELECT
        toStartOfInterval(toDateTime(r.occurred_at, 'UTC'), toIntervalSecond({step:UInt32})) AS at,
        0,
        countIf(r.kind = 'payment'),
        toDecimal128(ifNull(sum(r.net_usd), 0), 6)
    FROM revenue AS r FINAL
    WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.livemode = {livemode:Bool}
        AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
    GROUP BY at
)
GROUP BY at
ORDER BY at
SETTINGS optimize_move_to_prewhere_if_final = 0
