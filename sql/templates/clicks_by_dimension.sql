{{- /* The view clicks_by_dimension (.View), and what a statement has in its place: see activity.go. A change of the
view is a new migration with this text (TestViewsOfTemplates). */ -}}
WITH
    {{if .View}}if({stored:Bool},
        {{end}}(
            -- As in activity.
            SELECT (groupArray(day), min(least_click), max(greatest_click){{if .PageViews}}, min(least_page_view), max(greatest_page_view){{end}})
            FROM
            (
                SELECT
                    day, min(first_click) AS least_click, max(last_click) AS greatest_click{{if .PageViews}},
                    min(first_page_view) AS least_page_view, max(last_page_view) AS greatest_page_view{{end}}
                FROM click_days
                WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1)
                GROUP BY day
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1)
                    OR toDateTime(day, 'UTC') < {from:DateTime('UTC')} OR toDateTime(day, 'UTC') + toIntervalDay(1) > {to:DateTime('UTC')}
            )
        ){{if .View}},
        tupleConcat(
            (
                SELECT (
                    arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1)),
                    min(click_id), max(click_id))
                FROM clicks
                WHERE NOT {stored:Bool} AND workspace = {workspace:String}
                    AND clicked_at >= toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(2) AND clicked_at < {to:DateTime('UTC')}
            ),
            (
                SELECT (min(page_view_id), max(page_view_id))
                FROM page_views
                WHERE NOT {stored:Bool} AND workspace = {workspace:String} AND viewed_at >= {from:DateTime('UTC')} AND viewed_at < {to:DateTime('UTC')}
            ))){{end}} AS looked_up,
    looked_up.1 AS open,
    greatest(toDateTime64({from:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMin(open), 3, 'UTC')) AS first,
    least(toDateTime64({to:DateTime('UTC')}, 3, 'UTC'), toDateTime64(arrayMax(open), 3, 'UTC') + toIntervalDay(1)) AS next
SELECT dimension, value, day{{range .Columns}}, {{.Name}}{{end}}
FROM
(
    SELECT
        {{if .Named}}name.1 AS dimension, name.2 AS value{{else}}'' AS dimension, '' AS value{{end}}, day{{range .Columns}},
        {{.OfRows}} AS {{.Name}}{{end}}
    FROM
    (
        SELECT
            {{if .PageViews}}true AS is_click, {{end}}toDate(clicked_at) AS day{{if .Quarters}}, toUInt8(toHour(clicked_at) * 4 + intDiv(toMinute(clicked_at), 15)) AS quarter{{end}}{{if .Visitors}}, visitor{{end}},
            identity(click_id) NOT IN -- identity: the index cannot help, and searching it takes longer
            (
                SELECT arrayJoin(arrayFold(
                    (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                    arraySort(groupArray((clicked_at, click_id))),
                    (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
                FROM clicks FINAL
                ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
                WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at >= first - toIntervalDay(1) AND clicked_at < next
                GROUP BY arrival
                HAVING count() > 1
            ) AS counts{{if .Named}},
            {{if .View}}arrayConcat({{range $i, $d := .Dimensions}}{{if $i}},{{end}}
                if(has({dimensions:Array(String)}, '{{.Name}}'), [('{{.Name}}', toString({{.OfClick}}))], []){{end}})::Array(Tuple(String, String)){{else}}[{{range $i, $d := .Dimensions}}{{if $i}}, {{end}}('{{.Name}}', toString({{.OfClick}})){{end}}]{{end}} AS names{{end}}{{if .View}},
            (toDateTime(clicked_at, 'UTC'), sipHash64(visitor), program_id, affiliate_id::LowCardinality(String), link_id::LowCardinality(String), utm_source, utm_medium, utm_campaign, channel, country, device)
                ::Tuple(at DateTime('UTC'), visitor UInt64, program LowCardinality(String), affiliate LowCardinality(String), link LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String), channel LowCardinality(String), country LowCardinality(String), device LowCardinality(String)) AS click{{end}}
        FROM clicks FINAL
        WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at >= first AND clicked_at < next AND has(open, toDate(clicked_at)){{if .PageViews}}
        UNION ALL
        SELECT
            false, toDate(viewed_at){{if .Quarters}}, toUInt8(toHour(viewed_at) * 4 + intDiv(toMinute(viewed_at), 15)){{end}}{{if .Visitors}}, visitor{{end}},
            false{{if .Named}},
            {{if .View}}arrayConcat({{range $i, $d := .Dimensions}}{{if $i}},{{end}}
                if(has({dimensions:Array(String)}, '{{.Name}}'), [('{{.Name}}', toString({{.OfPageView}}))], []){{end}})::Array(Tuple(String, String)){{else}}[{{range $i, $d := .Dimensions}}{{if $i}}, {{end}}('{{.Name}}', toString({{.OfPageView}})){{end}}]{{end}}{{end}}{{if .View}},
            (toDateTime(viewed_at, 'UTC'), 0, '', '', '', '', '', '', '', '', '')::Tuple(at DateTime('UTC'), visitor UInt64, program LowCardinality(String), affiliate LowCardinality(String), link LowCardinality(String), source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String), channel LowCardinality(String), country LowCardinality(String), device LowCardinality(String)){{end}}
        FROM page_views FINAL
        WHERE workspace = {workspace:String} AND page_view_id >= looked_up.4 AND page_view_id <= looked_up.5 AND NOT is_bot AND viewed_at >= first AND viewed_at < next AND has(open, toDate(viewed_at)){{end}}
    ){{if .Named}}
    ARRAY JOIN names AS name{{end}}
    GROUP BY {{if .Named}}dimension, value, {{end}}day
    UNION ALL
    SELECT dimension, value, day{{range .Columns}}, {{.Name}}{{end}}
    FROM clicks_by_day FINAL
    WHERE {{if .View}}{stored:Bool} AND {{end}}workspace = {workspace:String} AND dimension IN {{if .View}}{dimensions:Array(String)}{{else}}({{range $i, $d := .Dimensions}}{{if $i}}, {{end}}'{{.Name}}'{{end}}){{end}}
        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day)
)
