-- How much money moved in each currency?
-- Minor units as Stripe sent them, tax included; refunds and disputes are negative, what came back of them is subtracted, and
-- amount is the sum of the three; unattributed is the part of it that nobody is credited with. Different currencies are never
-- added up. net_usd is without tax and leaves out the entries that without_rate counts; it is NULL where no entry has a rate.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT
    r.currency AS currency,
    uniqExactIf(r.sale_id, r.kind = 'payment') AS sales,
    sumIf(r.amount, r.kind = 'payment') AS payments,
    sumIf(r.amount, r.kind IN ('refund', 'refund_reversal')) AS refunds,
    sumIf(r.amount, r.kind IN ('dispute', 'dispute_reversal')) AS disputes,
    sum(r.amount) AS amount,
    sumIf(r.amount, r.match_rule IN ('', 'none')) AS unattributed,
    sum(r.net_usd) AS net_usd,
    countIf(r.net_usd IS NULL) AS without_rate
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
GROUP BY r.currency
ORDER BY currency
SETTINGS optimize_move_to_prewhere_if_final = 0
