CREATE VIEW clicks_daily
(
    `workspace` LowCardinality(String),
    `day` Date,
    `affiliate_id` String,
    `link_id` String,
    `utm_campaign` String,
    `clicks` UInt64
)
AS SELECT
    workspace,
    toDate(fromUnixTimestamp64Milli(counted, 'UTC')) AS day,
    affiliate_id,
    link_id,
    utm_campaign,
    count() AS clicks
FROM
(
    SELECT
        workspace,
        any(affiliate_id) AS affiliate_id,
        any(link_id) AS link_id,
        any(utm_campaign) AS utm_campaign,
        arraySort(groupUniqArray(toUnixTimestamp64Milli(clicked_at))) AS times,
        if(arrayExists((gap, place) -> ((place > 1) AND (gap <= 3600000)), arrayDifference(times), arrayEnumerate(times)), arrayFold((chosen, at) -> if(empty(chosen) OR (at > ((chosen[-1]) + 3600000)), arrayPushBack(chosen, at), chosen), times, emptyArrayInt64()), times) AS counting
    FROM clicks_by_visitor
    GROUP BY
        workspace,
        visitor_link
)
ARRAY JOIN counting AS counted
GROUP BY
    workspace,
    day,
    affiliate_id,
    link_id,
    utm_campaign;
