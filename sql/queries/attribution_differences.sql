-- Where does the last click lead to somebody else than the ledger credits, and why?
-- Sales of the time, in net USD with all their refunds and disputes, by whom the ledger credits with the first payment, by whom
-- the last model of attribution_models would credit, and by reason. reason: named (the sale itself names an affiliate or a
-- promotion code, which is not a click), manual (somebody decided so), unattributed (the ledger knows of no click that leads to
-- this sale), older (the credited click is before lookback_days), unknown_click (the credited click is not among the stored
-- clicks of the buyer's browsers), later (the buyer clicked again after the credited click: the ledger follows what the sale
-- itself names, and a renewal keeps the credit of the first sale). example: one of the sales, for story_of_a_sale.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'affiliate': affiliate, program, link, source, medium, campaign or channel
-- @param lookback_days UInt16 = 90: days before a sale in which a click counts
-- @param limit UInt32 = 100: how many rows
SELECT
    credited AS ledger,
    touches[-1].3 AS last,
    multiIf(
        credited_rule = 'manual', 'manual',
        credited_rule IN ('', 'none'), 'unattributed',
        credited_click = toFixedString('', 16), 'named',
        ifNull(credited_at < sold_at - toIntervalDay({lookback_days:UInt16}), false), 'older',
        -- Or the click within an hour before it that it repeats.
        arrayExists(touch -> touch.3 = credited AND ifNull(touch.1 <= credited_at AND touch.1 >= credited_at - toIntervalHour(1), false), touches), 'later',
        'unknown_click'
    ) AS reason,
    count() AS sales,
    sum(net_usd) AS net_usd,
    min(sale_id) AS example
FROM sale_touches(
    workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')},
    lookback_days = {lookback_days:UInt16}, dimension = {dimension:String}
) AS s
WHERE notEmpty(touches) AND touches[-1].3 != credited
GROUP BY ledger, last, reason
ORDER BY abs(net_usd) DESC, ledger, last, reason
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
