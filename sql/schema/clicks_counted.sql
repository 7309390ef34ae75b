CREATE VIEW clicks_counted
AS SELECT
    affiliate_id,
    link_id,
    utm_campaign,
    fromUnixTimestamp64Milli(counted, 'UTC') AS clicked_at
FROM
(
    SELECT
        any(affiliate_id) AS affiliate_id,
        any(link_id) AS link_id,
        any(utm_campaign) AS utm_campaign,
        arraySort(groupUniqArray(toUnixTimestamp64Milli(clicked_at))) AS times,
        if(arrayExists((gap, place) -> ((place > 1) AND (gap <= 3600000)), arrayDifference(times), arrayEnumerate(times)), arrayFold((chosen, at) -> if(empty(chosen) OR (at > ((chosen[-1]) + 3600000)), arrayPushBack(chosen, at), chosen), times, emptyArrayInt64()), times) AS counting
    FROM clicks_by_visitor
    WHERE (workspace = {workspace:String}) AND (hour >= ({from:DateTime('UTC')} - toIntervalDay(1))) AND (hour < {to:DateTime('UTC')})
    GROUP BY visitor_link
)
ARRAY JOIN counting AS counted
WHERE counted >= (toUnixTimestamp({from:DateTime('UTC')}) * 1000);
