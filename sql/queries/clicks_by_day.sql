-- How many clicks, page views and visitors did each day bring?
-- Days are UTC; from and to: on the hour. Bots are left out. A visitor who comes on two days counts on both, with clicks and page
-- views alike. A day on which nobody came has no row.
-- @param workspace String: whose data
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT day, sum(c) AS clicks, sum(p) AS page_views, sum(v) AS visitors
FROM
(
    SELECT toDate(clicked_at) AS day, count() AS c, toUInt64(0) AS p, toUInt64(0) AS v
    FROM clicks_counted(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
    GROUP BY day
    UNION ALL
    SELECT toDate(hour) AS day, toUInt64(0), toUInt64(0), uniqCombined64Merge(visitors)
    FROM
    (
        SELECT hour, visitors
        FROM clicks_hourly
        WHERE workspace = {workspace:String} AND hour >= {from:DateTime('UTC')} AND hour < {to:DateTime('UTC')}
        UNION ALL
        SELECT hour, visitors
        FROM page_views_hourly
        WHERE workspace = {workspace:String} AND hour >= {from:DateTime('UTC')} AND hour < {to:DateTime('UTC')}
    )
    GROUP BY day
    UNION ALL
    SELECT toDate(h.hour) AS day, toUInt64(0), uniqCombined64Merge(h.page_views), toUInt64(0)
    FROM page_views_hourly AS h
    WHERE h.workspace = {workspace:String} AND h.hour >= {from:DateTime('UTC')} AND h.hour < {to:DateTime('UTC')}
    GROUP BY day
)
GROUP BY day
ORDER BY day
SETTINGS optimize_move_to_prewhere_if_final = 0
