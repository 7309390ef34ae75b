CREATE VIEW activity
COMMENT 'Clicks, leads and booked entries in one list; parameters: workspace, livemode, from, to, dimension, only, without, currency, rates'
AS SELECT
    what,
    at,
    who,
    quantity,
    sale_id,
    kind,
    attributed,
    first_sale,
    net,
    multiIf({dimension:String} = 'program', program, {dimension:String} = 'affiliate', affiliate, {dimension:String} = 'link', link, {dimension:String} = 'source', source, {dimension:String} = 'medium', medium, {dimension:String} = 'campaign', campaign, {dimension:String} = 'channel', channel, {dimension:String} = 'country', country, {dimension:String} = 'device', device, '') AS name
FROM
(
    SELECT
        'click' AS what,
        clicked_at AS at,
        visitor AS who,
        1 AS quantity,
        '' AS sale_id,
        '' AS kind,
        false AS attributed,
        false AS first_sale,
        CAST(NULL, 'Nullable(Decimal(38, 6))') AS net,
        toString(program_id) AS program,
        affiliate_id AS affiliate,
        link_id AS link,
        toString(utm_source) AS source,
        toString(utm_medium) AS medium,
        toString(utm_campaign) AS campaign,
        toString(channel) AS channel,
        toString(country) AS country,
        toString(device) AS device
    FROM clicks_counted(workspace = {workspace:String}, `from` = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
    UNION ALL
    SELECT
        'lead',
        received_at,
        person,
        quantity,
        '',
        '',
        false,
        false,
        NULL,
        program_id,
        affiliate_id,
        link_id,
        '',
        '',
        utm_campaign,
        '',
        country,
        ''
    FROM people
    WHERE (workspace = {workspace:String}) AND (livemode = {livemode:Bool}) AND (received_at >= {from:DateTime('UTC')}) AND (received_at < {to:DateTime('UTC')})
    UNION ALL
    SELECT
        'entry',
        e.occurred_at,
        e.buyer,
        0,
        e.sale_id,
        e.kind,
        e.match_rule NOT IN ('', 'none'),
        e.sale_id IN (
            SELECT argMin(f.sale_id, (f.occurred_at, f.sale_id))
            FROM revenue AS f
            FINAL
            WHERE (f.workspace = {workspace:String}) AND (f.livemode = {livemode:Bool}) AND (f.status = 'booked') AND (f.amount != 0) AND (f.kind = 'payment')
            GROUP BY multiIf(f.external_customer_id != '', f.external_customer_id, f.customer_id != '', f.customer_id, f.sale_id)
        ),
        multiIf(e.currency = {currency:String}, CAST(toDecimal128(e.amount - e.tax, 6) / multiIf((e.currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf')), 1, (e.currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd')), 1000, 100), 'Nullable(Decimal(38, 6))'), e.day > r.until, NULL, CAST(roundBankers(toDecimal256(e.net_usd, 24) / r.usd, 6), 'Nullable(Decimal(38, 6))')),
        toString(e.program_id),
        e.affiliate_id,
        e.link_id,
        toString(e.utm_source),
        toString(e.utm_medium),
        toString(e.utm_campaign),
        toString(e.channel),
        toString(e.country),
        toString(e.device)
    FROM
    (
        SELECT
            *,
            {currency:String} AS reporting,
            multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer
        FROM revenue
        FINAL
        WHERE (workspace = {workspace:String}) AND (livemode = {livemode:Bool}) AND (status = 'booked') AND (amount != 0) AND (day >= toDate({from:DateTime('UTC')})) AND (day <= toDate({to:DateTime('UTC')})) AND (occurred_at >= {from:DateTime('UTC')}) AND (occurred_at < {to:DateTime('UTC')})
    ) AS e
    ASOF LEFT JOIN
    (
        SELECT
            day,
            until,
            usd,
            {currency:String} AS reporting
        FROM reporting_rates(currency = {currency:String}, source = {rates:String})
    ) AS r ON (e.reporting = r.reporting) AND (e.day >= r.day)
)
WHERE (NOT throwIf(({dimension:String} NOT IN ('', 'program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device')) OR notEmpty(arrayFilter(given -> (given NOT IN ('program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device')), arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))})))), 'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device')) AND (empty({only:Map(String, Array(String))}) OR arrayAll((given, names) -> has(names, map('program', program, 'affiliate', affiliate, 'link', link, 'source', source, 'medium', medium, 'campaign', campaign, 'channel', channel, 'country', country, 'device', device)[given]), mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))}))) AND (empty({without:Map(String, Array(String))}) OR (NOT arrayExists((given, names) -> has(names, map('program', program, 'affiliate', affiliate, 'link', link, 'source', source, 'medium', medium, 'campaign', campaign, 'channel', channel, 'country', country, 'device', device)[given]), mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))}))));
