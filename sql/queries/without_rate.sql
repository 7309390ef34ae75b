-- Which booked money has no exchange rate yet, and is therefore in no total in USD?
-- By currency, in minor units as Stripe sent them. oldest: since when the first of it waits.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT
    r.currency AS currency,
    uniqExactIf(r.sale_id, r.kind = 'payment') AS sales,
    count() AS entries,
    sum(toDecimal128(r.amount, 0)) AS amount,
    min(r.occurred_at) AS oldest
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool} AND r.net_usd IS NULL
    AND r.day >= toDate({from:DateTime('UTC')}) AND r.day <= toDate({to:DateTime('UTC')})
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
GROUP BY r.currency
ORDER BY currency
SETTINGS optimize_move_to_prewhere_if_final = 0
