-- How many sales is nobody credited with, and what are they worth (net USD)?
-- Their refunds and disputes are subtracted. Money without a rate is not in net_usd; revenue_by_currency has it in its own units.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
SELECT
    uniqExactIf(r.sale_id, r.kind = 'payment') AS sales,
    round(sum(ifNull(r.net_usd, toDecimal64(0, 6))), 2)::Decimal(38, 2) AS net_usd
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool} AND r.match_rule IN ('', 'none')
    AND r.day >= toDate({from:DateTime('UTC')}) AND r.day <= toDate({to:DateTime('UTC')})
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
