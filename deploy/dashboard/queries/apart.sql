-- Sales that nobody is credited with, and the sources of the exchange rates behind all figures.
SELECT
    countIf(kind = 'payment' AND match_rule IN ('', 'none')) AS count,
    toDecimalString(round(sumIf(ifNull(net_usd, toDecimal64(0, 6)), match_rule IN ('', 'none')), 2), 2) AS net_usd,
    arraySort(groupUniqArrayIf(toString(fx_source), fx_source != '')) AS fx_sources
FROM revenue FINAL
WHERE workspace = {workspace:String} AND status = 'booked' AND livemode
  AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
