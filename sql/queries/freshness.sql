-- How fresh is what the dashboards show?
-- When the edge took the last click (bots left out) and the last lead, and when the last sale was made. A last click that is
-- older than the minutes are kept is told by its hour. NULL: there never was one.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
SELECT
    ifNull(
        (SELECT maxOrNull(m.last_received) FROM clicks_minutely AS m WHERE m.workspace = {workspace:String}),
        (SELECT toDateTime64(h.hour, 3, 'UTC') FROM clicks_hourly AS h WHERE h.workspace = {workspace:String} ORDER BY h.workspace DESC, h.hour DESC LIMIT 1)
    ) AS last_click_at,
    (SELECT maxOrNull(l.received_at) FROM leads_attributed AS l FINAL WHERE l.workspace = {workspace:String}) AS last_lead_at,
    (
        SELECT maxOrNull(r.occurred_at)
        FROM revenue AS r FINAL
        WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool} AND r.kind = 'payment'
    ) AS last_sale_at
SETTINGS optimize_move_to_prewhere_if_final = 0
