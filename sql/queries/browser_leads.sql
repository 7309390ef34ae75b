-- How many persons did only browsers report, so that anybody may have invented them?
-- public_leads: as in totals. They are in no figure of leads; live mode only.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT sum(quantity) AS public_leads
FROM public_leads
WHERE workspace = {workspace:String} AND {livemode:Bool} AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
SETTINGS optimize_move_to_prewhere_if_final = 0
