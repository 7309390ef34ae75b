-- What was sold last or went back last, and why is it credited to whom it is?
-- Newest first; refunds and disputes stand among the sales. amount: minor units of currency as Stripe sent them, for how many
-- digits a currency has is Stripe's rule. net_usd is NULL without a rate, clicked_at where no single click is known;
-- match_rule none: not attributed.
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
    round(r.net_usd, 2)::Nullable(Decimal(38, 2)) AS net_usd,
    r.fx_source AS fx_source,
    r.affiliate_id AS affiliate_id,
    r.link_id AS link_id,
    r.utm_campaign AS utm_campaign,
    r.match_rule AS match_rule,
    r.match_key AS match_key,
    r.clicked_at AS clicked_at
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
    AND r.day >= toDate({from:DateTime('UTC')}) AND r.day <= toDate({to:DateTime('UTC')})
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
ORDER BY r.occurred_at DESC, r.object_id, r.kind
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
