-- By which sources of exchange rates was booked money converted?
-- Live money and Stripe's test mode in rows of their own. usd: it was dollars already. An empty source is money without a rate.
-- @param workspace String: whose data
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT
    r.livemode AS livemode,
    r.fx_source AS fx_source,
    count() AS entries,
    sum(r.net_usd) AS net_usd
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0
    AND r.day >= toDate({from:DateTime('UTC')}) AND r.day <= toDate({to:DateTime('UTC')})
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
GROUP BY r.livemode, r.fx_source
ORDER BY livemode DESC, entries DESC, fx_source
SETTINGS optimize_move_to_prewhere_if_final = 0
