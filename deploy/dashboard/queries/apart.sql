-- Sales that nobody is credited with, the sources of the exchange rates behind all figures, and how much there is from
-- Stripe's test mode, which is in none of them.
SELECT
    countIf(livemode AND kind = 'payment' AND match_rule IN ('', 'none')) AS count,
    toDecimalString(round(sumIf(ifNull(net_usd, toDecimal64(0, 6)), livemode AND match_rule IN ('', 'none')), 2), 2) AS net_usd,
    arraySort(groupUniqArrayIf(toString(fx_source), livemode AND fx_source != '')) AS fx_sources,
    countIf(NOT livemode) AS test_entries
FROM revenue FINAL
WHERE workspace = {workspace:String} AND status = 'booked'
  AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
