{{- /* What a statement of landing_pages reads, and selects of it, where it has neither visitors nor filters: see
pages.go. A page may have sales and no clicks: of what a visitor repeats for days another click may count on a
closed day, and a click may come between the readings of clicks and of sales. */ -}}
SELECT
    name,
    sum(came) AS clicks,
    CAST(NULL, 'Nullable(UInt64)') AS visitors,
    sum(sold) AS sales,
    sum(net) AS net_usd,
    if(sum(unrated) > 0 AND sum(rated) = 0, NULL, round(net_usd / greatest(clicks, 1), 4)) AS epc
FROM
(
    SELECT
        toString(value) AS name, sum(clicks) AS came,
        toUInt64(0) AS sold, toDecimal128(0, 6) AS net, toUInt64(0) AS rated, toUInt64(0) AS unrated
    FROM
    (
{{template "clicks_by_dimension.sql" .Clicks}}
    )
    GROUP BY name
    HAVING came > 0
    UNION ALL
    SELECT c.name, toUInt64(0), sum(e.sales), toDecimal128(sum(e.net), 6), sum(e.rated), sum(e.unrated)
    FROM
    (
        SELECT click_id, CAST({{.OfClick}}, 'String') AS name
        FROM clicks FINAL
        WHERE workspace = {workspace:String} AND NOT is_bot
            AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}
            AND click_id IN ({{template "credited" .}})
            AND identity(click_id) NOT IN -- identity: the index cannot help, and searching it takes longer
            (
                -- Those that repeat another click, as in clicks_counted.
                SELECT arrayJoin(arrayFold(
                    (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                    arraySort(groupArray((clicked_at, click_id))),
                    (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
                FROM clicks FINAL
                ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
                WHERE workspace = {workspace:String} AND NOT is_bot
                    AND clicked_at >= toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(1) AND clicked_at < {to:DateTime('UTC')}
                    AND (SELECT count() > 0 FROM ({{template "credited" .}})) -- or nothing is read
                    AND arrival IN
                    (
                        SELECT arrayJoin(if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]))
                        FROM clicks
                        WHERE workspace = {workspace:String} AND click_id IN ({{template "credited" .}})
                    )
                GROUP BY arrival
                HAVING count() > 1
            )
    ) AS c
    INNER JOIN
    (
{{.Credited}}
    ) AS e ON e.click_id = c.click_id
    GROUP BY c.name
)
GROUP BY name
{{- /* Clicks to which any version of an entry is credited. */ -}}
{{define "credited"}}SELECT click_id FROM revenue WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}{{end -}}
