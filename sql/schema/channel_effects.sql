CREATE VIEW channel_effects
COMMENT 'Removal effect of each channel, 0 to 1; parameters: workspace, livemode, from, to, lookback_days'
AS WITH
    toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - (86400 * {lookback_days:UInt16})), 'UTC') AS since,
    (
        SELECT arraySort(groupArray(toString(channel)))
        FROM
        (
            SELECT DISTINCT channel
            FROM clicks
            WHERE (workspace = {workspace:String}) AND (clicked_at >= since) AND (clicked_at < {to:DateTime('UTC')})
        )
    ) AS all_channels,
    paths AS
    (
        SELECT
            countIf(place = 65535) > 0 AS bought,
            maxIf(at, place = 65535) AS bought_at,
            arrayCompact(arrayMap(touch -> toUInt16(bitAnd(touch, 65535)), arraySort(arrayFilter(touch -> ((NOT bought) OR (touch < ((bought_at + 1000) * 65536))), groupArrayIf((at * 65536) + place, (place NOT IN (0, 65535))))))) AS channels
        FROM
        (
            SELECT
                sipHash64(visitor_id) AS visitor,
                toUnixTimestamp64Milli(clicked_at) AS at,
                toUInt16(indexOf(all_channels, channel)) AS place
            FROM clicks
            FINAL
            WHERE (workspace = {workspace:String}) AND (NOT is_bot) AND (visitor_id != '') AND (clicked_at >= since) AND (clicked_at < {to:DateTime('UTC')}) AND ((foreign_id = '') OR (click_id NOT IN (
                SELECT arrayJoin((arrayFold((known, click) -> if((click.1) > ((known.1) + toIntervalHour(1)), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))), arraySort(groupArray((clicked_at, click_id))), (toDateTime64(0, 3, 'UTC'), CAST('[]', 'Array(FixedString(16))')))).2)
                FROM clicks
                FINAL
                WHERE (workspace = {workspace:String}) AND (NOT is_bot) AND (foreign_id != '') AND (clicked_at >= since) AND (clicked_at < {to:DateTime('UTC')})
                GROUP BY foreign_id
                HAVING count() > 1
            )))
            UNION ALL
            SELECT
                sipHash64(visitor_id),
                toUnixTimestamp64Milli(occurred_at),
                65535
            FROM ledger
            FINAL
            WHERE (workspace = {workspace:String}) AND (status = 'booked') AND (amount != 0) AND (livemode = {livemode:Bool}) AND (kind = 'payment') AND (visitor_id != '') AND (occurred_at >= {from:DateTime('UTC')}) AND (occurred_at < {to:DateTime('UTC')})
        )
        GROUP BY visitor
        HAVING notEmpty(channels)
    ),
    steps AS
    (
        SELECT
            a,
            mapFromArrays(groupArray(b), groupArray(n / total)) AS probabilities
        FROM
        (
            SELECT
                a,
                b,
                count() AS n,
                sum(n) OVER (PARTITION BY a) AS total
            FROM paths
            ARRAY JOIN
                arrayPushFront(channels, 0) AS a,
                arrayPushBack(channels, if(bought, 65535, 65534)) AS b
            GROUP BY
                a,
                b
        )
        GROUP BY a
    ),
    chain AS
    (
        SELECT
            arraySort(groupUniqArrayIf(a, a != 0)) AS names,
            mapFromArrays(groupArray(a), groupArray(probabilities)) AS p
        FROM steps
    )
SELECT
    channel,
    effect
FROM
(
    SELECT
        names,
        arrayMap(name -> ((p[0])[name]), names) AS begin,
        arrayMap(name -> ((p[name])[65535]), names) AS sale,
        arrayMap(name -> arrayMap(before -> ((p[before])[name]), names), names) AS into,
        arrayMap(removed -> ((arrayFold((state, step) -> ((state.1) + arrayDotProduct(state.2, sale), arrayMap((name, `from`) -> if(name = removed, 0., arrayDotProduct(state.2, `from`)), names, into)), range(100), (0., arrayMap((name, x) -> if(name = removed, 0., x), names, begin)))).1), arrayPushFront(names, 0)) AS sales
    FROM chain
)
ARRAY JOIN
    arrayMap(name -> (all_channels[name]), names) AS channel,
    arrayMap(x -> if((sales[1]) = 0, 0., 1 - (x / (sales[1]))), arrayPopFront(sales)) AS effect;
