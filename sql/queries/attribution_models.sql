-- Who is credited with what, by the ledger and by each model of attribution?
-- Net USD of the sales of the time, each with all its refunds and disputes, whenever these happened. A model divides a sale
-- among the buyer's clicks in the lookback_days before it; a sale without such clicks stays with whom the ledger credits. Each
-- column adds up to the same money, to the micro-dollar: what division leaves goes to the sale's last click.
-- ledger: as booked. first, last: all of it to that click. last_non_direct: to the last click whose channel is not direct, else
-- to the last. linear: equal parts. position: 40 % to the first, 40 % to the last, 20 % to those between. decay: half as much for
-- every half_life_days before the last click. data_driven: in proportion to the removal effect of each click's channel (see
-- channel_effects). sales: in which the name took part, by a click or by the ledger, so it adds up to more than there are. An
-- empty name: clicks without one, or nobody. Sales with money that has no rate are left out (see without_rate).
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param dimension String = 'affiliate': affiliate, program, link, source, medium, campaign or channel
-- @param lookback_days UInt16 = 90: days before a sale in which a click counts
-- @param half_life_days Float64 = 7: of decay, greater than 0
WITH
(
    SELECT mapFromArrays(groupArray(channel), groupArray(effect))
    FROM channel_effects(
        workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')},
        lookback_days = {lookback_days:UInt16}
    )
) AS effects
SELECT
    name,
    uniqExact(sale_id) AS sales,
    sum(usd[1]) AS ledger_usd,
    sum(usd[2]) AS first_usd,
    sum(usd[3]) AS last_usd,
    sum(usd[4]) AS last_non_direct_usd,
    sum(usd[5]) AS linear_usd,
    sum(usd[6]) AS position_usd,
    sum(usd[7]) AS decay_usd,
    sum(usd[8]) AS data_driven_usd
FROM
(
    SELECT
        sale_id,
        arrayJoin(arrayConcat(
            arrayMap(entry -> (entry.1, arrayResize([entry.2], 8, toDecimal128(0, 6))), entries),
            arrayMap((touch, i) -> (touch.3, arrayPushFront(arrayMap(model -> model[i], credits), toDecimal128(0, 6))), path, places)
        )) AS credit,
        credit.1 AS name,
        credit.2 AS usd
    FROM
    (
        SELECT
            sale_id,
            entries,
            path,
            arrayEnumerate(path) AS places,
            length(path) AS n,
            arrayLastIndex(touch -> touch.4 != 'direct', path) AS not_direct,
            -- Whole numbers: money is multiplied and divided by nothing else.
            arrayMap(weights -> arrayMap(weight -> toInt64(weight), weights), [
                arrayMap(i -> toFloat64(i = 1), places),
                arrayMap(i -> toFloat64(i = n), places),
                arrayMap(i -> toFloat64(i = if(not_direct > 0, not_direct, n)), places),
                arrayMap(i -> 1., places),
                arrayMap(i -> toFloat64(if(n > 2 AND i IN (1, n), 2 * (n - 2), 1)), places),
                arrayMap(touch -> round(exp2(-date_diff('second', touch.1, path[-1].1) / 86400 / {half_life_days:Float64}) * 1e9), path),
                arrayMap(touch -> greatest(1., round(effects[touch.4] * 1e6)), path)
            ]) AS models,
            arrayMap(weights -> arraySum(weights), models) AS sums,
            arrayMap((weights, total) -> arrayMap(weight -> net_usd * weight / total, weights), models, sums) AS divided,
            arrayMap(parts -> arrayPushBack(arrayPopBack(parts), parts[-1] + net_usd - arraySum(parts)), divided) AS credits
        FROM
        (
            SELECT
                sale_id, net_usd, entries,
                if(empty(touches), [(sold_at, credited_click, credited, credited_channel)], touches) AS path
            FROM sale_touches(
                workspace = {workspace:String}, livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')},
                lookback_days = {lookback_days:UInt16}, dimension = {dimension:String}
            )
            WHERE NOT throwIf(NOT {half_life_days:Float64} > 0, 'half_life_days is greater than 0')
        )
    )
)
GROUP BY name
ORDER BY ledger_usd DESC, name
SETTINGS optimize_move_to_prewhere_if_final = 0, max_bytes_before_external_group_by = 1000000000
