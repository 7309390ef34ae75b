-- Which money may still go, or is in no total yet?
-- By kind and currency, since ever: disputed (taken by disputes that were not won back), unconverted (booked, without an exchange rate,
-- so in no sum in USD), held (of an account that no workspace lists, so in no total at all). amount: minor units of currency, tax included, signed; oldest: since when.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
SELECT risk, currency, count() AS entries, sum(amount) AS amount, sum(usd) AS net_usd, min(at) AS oldest
FROM
(
    SELECT
        arrayJoin(arrayFilter(r -> r != '', [
            if(status = 'booked' AND kind IN ('dispute', 'dispute_reversal') AND taken != 0, 'disputed', ''),
            if(status = 'booked' AND e.net_usd IS NULL, 'unconverted', ''),
            if(status = 'held', 'held', '')
        ])) AS risk,
        toString(currency) AS currency,
        e.amount AS amount,
        toDecimal128(ifNull(e.net_usd, toDecimal64(0, 6)), 6) AS usd,
        occurred_at AS at
    FROM
    (
        SELECT
            status, kind, currency, amount, net_usd, occurred_at,
            sumIf(amount, kind IN ('dispute', 'dispute_reversal')) OVER (PARTITION BY object_id) AS taken
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND status IN ('booked', 'held') AND amount != 0
            AND (status = 'held' OR net_usd IS NULL OR kind IN ('dispute', 'dispute_reversal'))
    ) AS e
)
GROUP BY risk, currency
ORDER BY risk, currency
SETTINGS optimize_move_to_prewhere_if_final = 0
