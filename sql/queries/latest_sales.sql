-- What was sold last, and why is each sale credited to whom it is?
-- amount: minor units of currency as Stripe sent them. click_id is empty and clicked_at NULL where no single click is known;
-- match_rule none: not attributed. amount_usd and net_usd are NULL without a rate.
SELECT
    r.occurred_at AS occurred_at,
    r.object_id AS object_id,
    r.currency AS currency,
    r.amount AS amount,
    r.amount_usd AS amount_usd,
    r.net_usd AS net_usd,
    r.fx_source AS fx_source,
    r.program_id AS program_id,
    r.affiliate_id AS affiliate_id,
    r.link_id AS link_id,
    r.utm_campaign AS utm_campaign,
    r.country AS country,
    r.match_rule AS match_rule,
    r.match_key AS match_key,
    if(r.click_id = toFixedString('', 16), '', UUIDNumToString(r.click_id)) AS click_id,
    r.clicked_at AS clicked_at
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.livemode = {livemode:Bool} AND r.kind = 'payment'
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
ORDER BY r.occurred_at DESC, r.object_id
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
