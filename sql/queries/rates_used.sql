-- By which sources of exchange rates was booked money converted?
-- usd: it was dollars already. An empty source is money without a rate.
SELECT
    r.fx_source AS fx_source,
    count() AS entries,
    sum(r.net_usd) AS net_usd
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.livemode = {livemode:Bool}
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
GROUP BY r.fx_source
ORDER BY entries DESC, fx_source
SETTINGS optimize_move_to_prewhere_if_final = 0
