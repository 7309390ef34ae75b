-- Which money went back, and whose sale was it?
-- Newest first, at the time at which it went back. amount: minor units of currency, negative; a reversal (a failed refund, a
-- dispute that was won) is positive. The affiliate is the sale's.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param limit UInt32 = 20: how many rows
SELECT
    r.occurred_at AS occurred_at,
    r.kind AS kind,
    r.object_id AS object_id,
    r.sale_id AS sale_id,
    r.currency AS currency,
    r.amount AS amount,
    r.net_usd AS net_usd,
    r.affiliate_id AS affiliate_id,
    r.link_id AS link_id,
    r.match_rule AS match_rule
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool} AND r.kind != 'payment'
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
ORDER BY r.occurred_at DESC, r.object_id, r.kind
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
