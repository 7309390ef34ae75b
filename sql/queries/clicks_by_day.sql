-- How many clicks, page views and visitors did each day bring?
-- Days are UTC. Bots are left out. A visitor who comes on two days counts on both, with clicks and page
-- views alike. A day on which nobody came has no row.
-- @param workspace String: whose data
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT day, sum(d.clicks) AS clicks, sum(d.page_views) AS page_views, uniqMerge(d.visitors) AS visitors
FROM clicks_by_dimension(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimensions = [''], stored = true) AS d
GROUP BY d.day AS day
ORDER BY day
SETTINGS optimize_move_to_prewhere_if_final = 0
