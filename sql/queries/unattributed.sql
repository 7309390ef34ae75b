-- Which booked money could not be attributed to anything?
-- By currency, in minor units as Stripe sent them, and in net USD; net_usd is NULL where no entry has a rate yet.
SELECT
    r.currency AS currency,
    countIf(r.kind = 'payment') AS sales,
    count() AS entries,
    sum(r.amount) AS amount,
    sum(r.net_usd) AS net_usd
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.livemode = {livemode:Bool} AND r.match_rule = 'none'
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
GROUP BY r.currency
ORDER BY ifNull(net_usd, 0) DESC, currency
SETTINGS optimize_move_to_prewhere_if_final = 0
