CREATE VIEW spend_shown
COMMENT 'Spend in the reporting currency; parameters: workspace, from, to, currency, rates'
AS SELECT
    s.day AS day,
    s.affiliate_id AS affiliate_id,
    s.utm_source AS utm_source,
    s.utm_campaign AS utm_campaign,
    toString(s.channel) AS channel,
    multiIf(s.currency = {currency:String}, CAST(toDecimal128(s.amount, 6), 'Nullable(Decimal(38, 6))'), (s.own_usd IS NULL) OR (s.day > r.until), NULL, CAST(roundBankers((toDecimal256(s.amount, 24) * toDecimal256(assumeNotNull(s.own_usd), 18)) / nullIf(r.usd, 0), 6), 'Nullable(Decimal(38, 6))')) AS shown
FROM
(
    SELECT
        p.*,
        {currency:String} AS reporting,
        multiIf(p.currency = 'usd', CAST(1, 'Nullable(Decimal(38, 18))'), p.day > f.until, NULL, nullIf(f.usd, 0)) AS own_usd
    FROM
    (
        SELECT * REPLACE (lower(trimBoth(currency)) AS currency)
        FROM spend
        FINAL
        WHERE (workspace = {workspace:String}) AND (day >= toDate({from:DateTime('UTC')})) AND (day < toDate({to:DateTime('UTC')}))
    ) AS p
    ASOF LEFT JOIN
    (
        SELECT
            d.currency AS currency,
            d.day AS day,
            if(d.usd = 0, d.day, d.day + 7) AS until,
            d.usd AS usd
        FROM day_rates AS d
        FINAL
        WHERE {rates:String} = ''
        UNION ALL
        SELECT
            q.currency,
            date,
            if(min(valid_to) = toDate('1970-01-01'), date + 7, min(valid_to)),
            argMin(q.usd, (source != {rates:String}, source))
        FROM fx_rates AS q
        FINAL
        LEFT JOIN
        (
            SELECT
                currency,
                min(day) AS first
            FROM day_rates
            GROUP BY currency
        ) AS kept ON kept.currency = q.currency
        WHERE (fault = '') AND (q.usd > 0) AND (({rates:String} != '') OR (kept.currency = '') OR (date < first))
        GROUP BY
            q.currency,
            date
    ) AS f ON (p.currency = f.currency) AND (p.day >= f.day)
) AS s
ASOF LEFT JOIN
(
    SELECT
        day,
        until,
        usd,
        {currency:String} AS reporting
    FROM reporting_rates(currency = {currency:String}, source = {rates:String})
) AS r ON (s.reporting = r.reporting) AND (s.day >= r.day)
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0, empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0;
