-- How fresh is what the dashboards show?
-- When the edge took the last click (bots left out) and the last lead, and when the last sale was made. NULL: there never was one.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
SELECT
    (SELECT maxOrNull(d.last_click_received) FROM click_days AS d WHERE d.workspace = {workspace:String} AND d.last_click_received > 0) AS last_click_at,
    (SELECT maxOrNull(l.received_at) FROM leads_attributed AS l FINAL WHERE l.workspace = {workspace:String}) AS last_lead_at,
    (
        SELECT maxOrNull(r.occurred_at)
        FROM revenue AS r FINAL
        WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool} AND r.kind = 'payment'
    ) AS last_sale_at
SETTINGS optimize_move_to_prewhere_if_final = 0
