-- How many clicks, page views, sales and how much net revenue (USD) did each step of time bring?
-- step: seconds, a multiple of 900, a quarter of an hour. A step in which nothing happened has no row.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param step UInt32 = 3600: seconds of a step, a multiple of 900
SELECT toDateTime64(at, 0) AS at, sum(c) AS clicks, sum(p) AS page_views, sum(s) AS sales, round(sum(net), 2)::Decimal(38, 2) AS net_usd
FROM
(
    SELECT
        toStartOfInterval(toDateTime(day, 'UTC') + quarter * 900, toIntervalSecond({step:UInt32})) AS at,
        sum(clicks_at[quarter]) AS c,
        sum(page_views_at[quarter]) AS p,
        toUInt64(0) AS s,
        toDecimal128(0, 6) AS net
    FROM clicks_by_dimension(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimensions = [''], stored = true)
    ARRAY JOIN arrayDistinct(arrayConcat(mapKeys(clicks_at), mapKeys(page_views_at))) AS quarter
    GROUP BY at
    UNION ALL
    SELECT
        toStartOfInterval(toDateTime(r.occurred_at, 'UTC'), toIntervalSecond({step:UInt32})) AS at,
        toUInt64(0),
        toUInt64(0),
        uniqExactIf(r.sale_id, r.kind = 'payment'),
        toDecimal128(sum(ifNull(r.net_usd, toDecimal64(0, 6))), 6)
    FROM revenue AS r FINAL
    WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
        AND r.day >= toDate({from:DateTime('UTC')}) AND r.day <= toDate({to:DateTime('UTC')})
        AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
    GROUP BY at
)
WHERE (SELECT throwIf({step:UInt32} % 900 != 0, 'step is a multiple of 900')) = 0 -- also where there are no rows
GROUP BY at
ORDER BY at
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
