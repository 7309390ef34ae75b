-- How many records could not be processed, and why?
-- Of all workspaces together: what cannot be read cannot be assigned to one. step: what refused it. reason: a short constant. first_at and
-- last_at: when records were set aside. Each is stored unchanged and can be processed again by processor replay.
SELECT d.reason AS reason, d.step AS step, d.topic AS topic, count() AS records, min(d.at) AS first_at, max(d.at) AS last_at
FROM dead_letters AS d FINAL
GROUP BY reason, step, topic
ORDER BY records DESC, reason, step, topic
SETTINGS optimize_move_to_prewhere_if_final = 0
