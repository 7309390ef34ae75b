-- How many clicks and visitors did each day bring?
-- Days are UTC; from and to: on the hour. Bots are left out. A visitor who comes on two days counts on both. A day without a
-- click has no row.
SELECT
    toDate(c.hour) AS day,
    uniqCombined64Merge(c.clicks) AS clicks,
    uniqCombined64Merge(c.visitors) AS visitors
FROM clicks_hourly AS c
WHERE c.workspace = {workspace:String} AND c.hour >= {from:DateTime('UTC')} AND c.hour < {to:DateTime('UTC')}
GROUP BY day
ORDER BY day
SETTINGS optimize_move_to_prewhere_if_final = 0
