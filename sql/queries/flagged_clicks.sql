-- Which clicks were flagged as bots, and why?
-- They are stored but in no other figure. reason: the rule that flagged them, such as http_library:curl. last_at: when the edge took the last one.
-- @param workspace String: whose data
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT c.bot_reason AS reason, count() AS clicks, max(c.received_at) AS last_at
FROM clicks AS c FINAL
WHERE c.workspace = {workspace:String} AND c.is_bot AND c.clicked_at >= {from:DateTime('UTC')} AND c.clicked_at < {to:DateTime('UTC')}
GROUP BY reason
ORDER BY clicks DESC, reason
SETTINGS optimize_move_to_prewhere_if_final = 0
