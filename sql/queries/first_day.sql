-- Which is the first day with a click, a page view or booked money on it?
-- Its first moment, UTC; NULL where there is nothing. Money of the given livemode; clicks and page views have none.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
SELECT toStartOfDay(min(at)) AS day
FROM
(
    SELECT toDateTime64(minOrNull(h.hour), 3, 'UTC') AS at
    FROM clicks_hourly AS h
    WHERE h.workspace = {workspace:String}
    UNION ALL
    SELECT toDateTime64(minOrNull(p.hour), 3, 'UTC')
    FROM page_views_hourly AS p
    WHERE p.workspace = {workspace:String}
    UNION ALL
    SELECT minOrNull(r.occurred_at)
    FROM revenue AS r FINAL
    WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
)
SETTINGS optimize_move_to_prewhere_if_final = 0
