CREATE VIEW reporting_rates
COMMENT 'Exchange rates to show USD in another currency; parameters: currency, source'
AS SELECT
    day,
    until,
    usd
FROM
(
    SELECT
        toDate('1970-01-01') AS day,
        toDate('2149-06-06') AS until,
        toDecimal128(1, 18) AS usd
    WHERE {currency:String} = 'usd'
    UNION ALL
    SELECT
        d.day,
        if(d.usd = 0, d.day, d.day + 7),
        d.usd
    FROM day_rates AS d
    FINAL
    WHERE (d.currency = {currency:String}) AND ({source:String} = '')
    UNION ALL
    SELECT
        date,
        if(min(valid_to) = toDate('1970-01-01'), date + 7, min(valid_to)),
        argMin(f.usd, (source != {source:String}, source))
    FROM fx_rates AS f
    FINAL
    WHERE (currency = {currency:String}) AND (fault = '') AND (f.usd > 0) AND (({source:String} != '') OR (date < (
        SELECT if(count() = 0, toDate('2149-06-06'), min(day))
        FROM day_rates
        WHERE currency = {currency:String}
    )))
    GROUP BY date
)
SETTINGS join_use_nulls = 0, join_default_strictness = 'ALL', aggregate_functions_null_for_empty = 0, empty_result_for_aggregation_by_empty_set = 0, prefer_column_name_to_alias = 0;
