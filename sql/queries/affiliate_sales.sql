-- Which sales is one affiliate credited with, and which of them went back?
-- Newest first. It says nothing about buyers: no ids of theirs, nor of their payments. amount: minor units of currency as Stripe
-- sent them, negative for money that went back. net_usd is without tax, NULL without a rate.
-- @param workspace String: whose data
-- @param affiliate String: whose figures
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param limit UInt32 = 100: how many rows
SELECT
    r.occurred_at AS occurred_at,
    r.kind AS kind,
    r.currency AS currency,
    r.amount AS amount,
    r.net_usd AS net_usd,
    r.link_id AS link_id,
    r.utm_campaign AS utm_campaign,
    r.clicked_at AS clicked_at
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
    AND r.affiliate_id = {affiliate:String} AND r.match_rule NOT IN ('', 'none')
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
ORDER BY r.occurred_at DESC, r.object_id, r.kind
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
