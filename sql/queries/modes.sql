-- Is there live money, is there test money, and since when?
-- The two are never in one sum; this is how a page knows which of them to offer.
-- @param workspace String: whose data
SELECT
    r.livemode AS livemode,
    count() AS entries,
    min(r.occurred_at) AS first,
    max(r.occurred_at) AS last
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0
GROUP BY r.livemode
ORDER BY livemode DESC
SETTINGS optimize_move_to_prewhere_if_final = 0
