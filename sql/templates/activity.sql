{{- /* The view activity (.View), and what a statement has in its place: see activity.go. A change of the
view is a new migration with this text (TestActivityView). */ -}}
{{define "net"}}{{if .Rates}}multiIf(
            -- Money of the reporting currency is shown as it was paid. Minor units by Stripe's rules, as in processor/fx/exponents.csv.
            e.currency = {currency:String}, CAST(toDecimal128(e.amount - e.tax, 6) / multiIf(
                e.currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'), 1,
                e.currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd'), 1000, 100), 'Nullable(Decimal(38, 6))'),
            e.day > r.until, NULL,
            CAST(roundBankers(toDecimal256(e.net_usd, 24) / nullIf(r.usd, 0), 6), 'Nullable(Decimal(38, 6))')
        ){{else}}CAST(e.net_usd, 'Nullable(Decimal(38, 6))'){{end}}{{end -}}
{{define "no name"}}{{if and .Flat (not .Named)}}, '' AS name{{end}}{{end -}}
{{define "filters"}}{{- if .View}}
WHERE NOT throwIf(
        {dimension:String} NOT IN ('', 'program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device', 'product')
            OR notEmpty(arrayFilter(
                given -> given NOT IN ('program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device', 'product'),
                arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))})))),
        'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device, product')
    -- Each if is decided before reading, so that columns which only other filters need are not read.{{end}}
    {{- range $i, $condition := .Filters}}
{{if or $i $.View}}    AND{{else}}WHERE{{end}} {{$condition}}{{end}}{{end -}}
{{define "looked up"}}    {{if .View}}if({stored:Bool},
        {{end}}(
            -- Which days are read from clicks, and which ids these and the days before have: FINAL reads from every part that may have
            -- a key, so one of each month, unless a condition on the key rules it out.
            SELECT (groupArray(day), min(least_click), max(greatest_click))
            FROM
            (
                SELECT day, min(first_click) AS least_click, max(last_click) AS greatest_click
                FROM click_days
                WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1)
                GROUP BY day
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1) OR max(counted_at) < max(computed_at)
            )
        ){{if .View}},
        (
            SELECT (
                arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1)),
                min(click_id), max(click_id))
            FROM clicks
            WHERE NOT {stored:Bool} AND workspace = {workspace:String}
                AND clicked_at >= toDateTime64({from:DateTime('UTC')}, 3, 'UTC') - toIntervalDay(2) AND clicked_at < {to:DateTime('UTC')}
        )){{end}} AS looked_up,
    looked_up.1 AS open{{end -}}
{{define "no sale"}}{{if .Numbers}}toUInt64(0){{else}}''{{end}}{{end -}}
{{define "lists"}}FROM first_sales
            WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND computed_at = fromUnixTimestamp64Milli({{.ComputedAt}}, 'UTC')
            HAVING NOT throwIf(uniqExact(slice) != 16, 'the lists of first sales are gone')
        ){{end -}}
{{define "sale"}}if({{with .PaidText}}sale IN ({{.}})
        OR {{end}}sale IN
        (
            -- A sale that has several payments counts once. As first_sale: as the lists were computed, and what has changed since.
            SELECT arrayJoin(groupArrayArray(several))
            {{template "lists" .}}, sale, 0){{end -}}
{{define "open clicks"}}    FROM clicks AS c FINAL
    WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}
        AND has(open, toDate(clicked_at)) AND identity(click_id) NOT IN -- identity: the index cannot help, and searching it takes longer
        (
            SELECT arrayJoin(arrayFold(
                (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                arraySort(groupArray((clicked_at, click_id))),
                (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
            FROM clicks FINAL
            ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
            WHERE workspace = {workspace:String} AND click_id >= looked_up.2 AND click_id <= looked_up.3 AND NOT is_bot AND clicked_at < {to:DateTime('UTC')}
                AND has(arrayConcat(open, arrayMap(day -> day - 1, open)), toDate(clicked_at))
            GROUP BY arrival
            HAVING count() > 1
        ){{end -}}
{{define "listed clicks"}}    FROM clicks_by_day FINAL
    ARRAY JOIN
        {{if not .Whole}}counted.at AS clicked{{end}}{{if .Who}}{{if not .Whole}}, {{end}}counted.visitor AS who{{end}}{{range $i, $d := .OfLists}}{{if or $i $.Who (not $.Whole)}},
        {{end}}{{if $.View}}if({dimension:String} = '{{.Name}}' OR mapContains({only:Map(String, Array(String))}, '{{.Name}}') OR mapContains({without:Map(String, Array(String))}, '{{.Name}}'), counted.{{.Name}}, unread){{else}}counted.{{.Name}}{{end}} AS of_{{.Name}}{{end}}
    WHERE workspace = {workspace:String} AND dimension = '' AND value = ''
        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day){{if not .Whole}}
        AND clicked >= {from:DateTime('UTC')} AND clicked < {to:DateTime('UTC')}{{end}}{{end -}}
{{if .Clicks}}WITH
{{template "looked up" .}}
{{end}}{{if .Counted}}{{if .Entries}}SELECT *
FROM
(
{{end}}SELECT
    'click' AS what, {{if .Unit}}toDateTime64(start, 3, 'UTC'){{else}}toDateTime64(0, 3, 'UTC'){{end}} AS at, '' AS who,
    {{if .Lists}}sum(length(visitors)) AS clicks_counted, uniqArray(visitors){{else if .Visitors}}count() AS clicks_counted, uniq(visitor){{else}}sum(clicks) AS clicks_counted, 0{{end}} AS visitors_counted, 0 AS quantity, {{template "no sale" .}} AS sale_id, '' AS kind,
    false AS attributed, false AS first_sale, CAST(NULL, 'Nullable(Decimal(38, 6))') AS net, {{if .Named}}{{.Named}}{{else}}''{{end}} AS name
FROM
({{if .Lists}}
    -- The visitors of one name after those of another: uniq takes a third less time so, because one state stays in the processor's cache.
    SELECT {{.Named}}, groupArray(visitor) AS visitors
    FROM
    ({{end}}
    SELECT {{if .Visitors}}sipHash64(c.visitor) AS visitor{{else}}toUInt64(1) AS clicks{{end}}{{with .UnitOf "clicked_at"}}, {{.}} AS start{{end}}{{range .Read}}, {{.OfClick}} AS {{.Name}}{{end}}
{{template "open clicks" .}}
    UNION ALL
{{if .Rows}}    SELECT {{if .Unit}}of_quarter, {{.UnitOf "toDateTime(day, 'UTC') + quarter * 900"}}{{else}}clicks{{end}}{{range .Read}}, toLowCardinality(value){{end}}
    FROM clicks_by_day FINAL{{if .Unit}}
    ARRAY JOIN mapKeys(clicks_at) AS quarter, mapValues(clicks_at) AS of_quarter{{end}}
    WHERE workspace = {workspace:String} AND dimension = '{{range .Read}}{{.Name}}{{end}}'
        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day){{if .Unit}}
        AND toDateTime(day, 'UTC') + quarter * 900 >= {from:DateTime('UTC')} AND toDateTime(day, 'UTC') + quarter * 900 < {to:DateTime('UTC')}{{end}}
{{- else}}    SELECT {{if .Visitors}}who{{else}}toUInt64(1){{end}}{{with .UnitOf "clicked"}}, {{.}}{{end}}{{range .Read}}, {{if .Listed}}of_{{.Name}}{{else}}''{{end}}{{end}}
{{template "listed clicks" .}}
{{- end}}
{{- if .Lists}}
    ){{template "filters" .}}
    GROUP BY {{.Named}}
){{else}}
){{template "filters" .}}{{end}}{{if .Named}}
GROUP BY {{.Named}}{{else if .Unit}}
GROUP BY start{{end}}
HAVING clicks_counted > 0
{{- if .Entries}}
UNION ALL
{{end}}{{end}}{{if or .Entries (not .Counted)}}{{if not .Flat}}SELECT
    what, at, who, {{if .Counted}}0, 0{{else}}visitor{{end}}, quantity, sale_id, kind, attributed, first_sale, net,
    {{if .View}}{{range .Read}}if({dimension:String} = '{{.Name}}', {{.Name}}, {{end}}''{{range .Read}}){{end}}{{else if .Named}}{{.Named}}{{else}}''{{end}} AS name
FROM
(
{{end}}{{if and .Clicks (not .Counted)}}    SELECT
        'click' AS what, c.clicked_at AS at, c.visitor AS who, sipHash64(c.visitor) AS visitor, 1 AS quantity, {{template "no sale" .}} AS sale_id, '' AS kind,
        false AS attributed, false AS first_sale, CAST(NULL, 'Nullable(Decimal(38, 6))') AS net{{range .Read}},
        {{.OfClick}} AS {{$.Alias .}}{{end}}{{template "no name" .}}
{{template "open clicks" .}}
    UNION ALL
    {{if .Flat}}WITH
{{template "looked up" .}}
    {{else if .View}}WITH arrayResize([]::Array(LowCardinality(String)), length(counted.at), '') AS unread
    {{end}}SELECT
        'click', toDateTime64(clicked, 3, 'UTC'), '', who, 1, {{template "no sale" .}}, '', false, false, NULL{{range .Read}}, {{if .Listed}}of_{{.Name}}{{else}}''{{end}}{{end}}{{template "no name" .}}
{{template "listed clicks" .}}
{{if .Leads}}    UNION ALL
{{end}}{{end}}{{if .Leads}}    SELECT
        {{if or .Counted (not .Clicks)}}'lead' AS what, received_at AS at, person AS who, {{if not .Counted}}0 AS visitor, {{end}}quantity, {{template "no sale" .}} AS sale_id, '' AS kind, false AS attributed, false AS first_sale,
        CAST(NULL, 'Nullable(Decimal(38, 6))') AS net{{range .Read}}, {{.OfLead}} AS {{$.Alias .}}{{end}}{{else}}'lead', received_at, person, 0, quantity, {{template "no sale" .}}, '', false, false, NULL{{range .Read}}, {{.OfLead}}{{end}}{{end}}{{template "no name" .}}
    FROM {{.People}}
    WHERE {{if .View}}workspace = {workspace:String} AND livemode = {livemode:Bool}
        AND {{end}}received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
{{if .Entries}}    UNION ALL
{{end}}{{end}}{{if .Entries}}    {{if .Products}}WITH
        {{template "net" .}} AS whole,
        -- Parts of the net that have the proportions of product_net and add up to it: each is what all parts up to it have, less
        -- what all before it have. An entry that names no product is one part, and so is one whose parts add up to nothing: its net
        -- is nothing, too. nullIf: the quotient may be computed before if leaves it out.
        arrayJoin(if({{if .View}}{dimension:String} != 'product' AND NOT mapContains({only:Map(String, Array(String))}, 'product')
            AND NOT mapContains({without:Map(String, Array(String))}, 'product') OR {{end}}empty(e.products) OR arraySum(e.product_net) = 0, [('', whole)],
            arrayMap((product, upto, own) -> (toString(product), CAST(
                toDecimal256(whole, 6) * upto / nullIf(arraySum(e.product_net), 0)
                - toDecimal256(whole, 6) * (upto - own) / nullIf(arraySum(e.product_net), 0), 'Nullable(Decimal(38, 6))')),
                e.products, arrayCumSum(e.product_net), e.product_net))) AS part
    {{end}}SELECT
        'entry' AS what, e.occurred_at AS at, e.buyer AS who, {{if not .Counted}}0 AS visitor, {{end}}0 AS quantity, {{if not .Numbers}}e.sale_id{{else}}{{template "sale" .FirstSales}}{{end}} AS sale_id, e.kind AS kind,
        e.match_rule NOT IN ('', 'none') AS attributed,
        {{with .FirstSales}}({{with .GainedText}}e.sale IN ({{.}})
        OR {{end}}e.sale IN
        (
            -- As they were computed; what has changed since stands beside. Not all of these lists may be here: newer ones
            -- came, they were deleted, or this is another replica.{{if $.Payments}}
            -- A sale that has one payment, which is of another time, is not looked for.{{end}}
            SELECT arrayJoin(groupArrayArray({{if or $.Payments .Lost}}arrayFilter(
                (sale{{if .Lost}}, buyer{{end}}{{if $.Payments}}, paid, again{{end}}) -> {{with .LostText}}buyer NOT IN ({{.}}){{end}}{{if and .Lost $.Payments}}
                    AND {{end}}{{if $.Payments}}(again OR paid >= {from:DateTime('UTC')} AND paid < {to:DateTime('UTC')}){{end}},
                sales{{if .Lost}}, buyers{{end}}{{if $.Payments}}, paid_at, paid_again{{end}}){{else}}sales{{end}})) AS sale
            {{template "lists" .}}) AS first_sale,{{else}}e.sale_id IN
        (
            -- The buyer's earliest payment, of two at the same time that of the least sale_id. As one text, because the
            -- engine compares texts in half the time of pairs.
            SELECT substring(min(concat(toString(toUnixTimestamp64Milli(f.occurred_at) + 100000000000000), f.sale_id)), 16)
            FROM revenue AS f FINAL
            WHERE f.workspace = {workspace:String} AND f.livemode = {livemode:Bool} AND f.status = 'booked' AND f.amount != 0 AND f.kind = 'payment'{{if .Narrow}}
                AND identity(f.buyer) IN -- identity: as above
                (
                    -- Who paid a sale that has an entry of this time. Read without FINAL, so any version counts.
                    SELECT buyer
                    FROM revenue
                    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND kind = 'payment' AND identity(sale_id) IN
                    (
                        SELECT sale_id
                        FROM revenue
                        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
                            AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
                    )
                ){{end}}
            GROUP BY f.buyer
        ) AS first_sale,{{end}}
        {{if .Products}}part.2{{else}}{{template "net" .}}{{end}} AS net{{range .Read}}, {{.OfEntry}} AS {{$.Alias .}}{{end}}{{template "no name" .}}
    FROM
    (
        SELECT
            occurred_at, sale_id, {{if .FirstSales}}sale, {{end}}kind, match_rule, net_usd{{if .Rates}}, day, currency, amount, tax, {currency:String} AS reporting{{end}}{{range .Read}}, {{.Column}}{{end}},
            multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND status = 'booked' AND amount != 0
            AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
            AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
    ) AS e{{if .Rates}}
    ASOF LEFT JOIN
    (
        SELECT day, until, usd, {currency:String} AS reporting
        FROM {{.Rates}}
    ) AS r ON e.reporting = r.reporting AND e.day >= r.day{{end}}
{{end}}{{if not .Flat}})
{{- template "filters" .}}{{end}}{{if and .Counted .Entries}}
){{end}}{{end}}
