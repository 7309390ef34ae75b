-- Which is the first day with a click, a page view or booked money on it?
-- Its first moment, UTC; NULL where there is nothing. Money of the given livemode; clicks and page views have none.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
SELECT toDateTime64(toStartOfDay(min(at)), 0, 'UTC') AS day
FROM
(
    SELECT toDateTime64(minOrNull(c.day), 3, 'UTC') AS at
    FROM click_days AS c
    WHERE c.workspace = {workspace:String} AND (c.last_click_received > 0 OR c.last_page_view_received > 0)
    UNION ALL
    SELECT toDateTime64(minOrNull(r.day), 3, 'UTC')
    FROM revenue AS r FINAL
    WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
)
SETTINGS optimize_move_to_prewhere_if_final = 0
