-- +goose Up
-- What several questions have in common: the clicks before each sale, how much each channel matters, rates to show money by, and a list of
-- everything that happened.

-- sale_touches(workspace, livemode, from, to, lookback_days, dimension): one row for each sale of the time whose money is all converted.
--   net_usd         the sale with all its refunds and disputes, whenever these happened, without tax
--   entries         each booked entry: the name that the ledger credits, net USD
--   touches         the buyer's clicks in the lookback_days before the sale, bots left out: (time, click id, name, channel), oldest first
--   credited, …     whom the ledger credits with the first payment, of which channel, by which rule and click, and when that was
-- A name is the affiliate, program, link, source, medium, campaign or channel, as dimension says.
CREATE VIEW IF NOT EXISTS sale_touches AS
SELECT
    sale_id,
    any(sold_at) AS sold_at,
    any(net_usd) AS net_usd,
    any(credited) AS credited,
    any(credited_channel) AS credited_channel,
    any(credited_rule) AS credited_rule,
    any(credited_click) AS credited_click,
    any(credited_at) AS credited_at,
    any(entries) AS entries,
    arraySort(arrayFlatten(groupArray(counted))) AS touches
FROM
(
    SELECT
        s.sale_id AS sale_id,
        any(s.sold_at) AS sold_at,
        any(s.net_usd) AS net_usd,
        any(s.credited) AS credited,
        any(s.credited_channel) AS credited_channel,
        any(s.credited_rule) AS credited_rule,
        any(s.credited_click) AS credited_click,
        any(s.credited_at) AS credited_at,
        any(s.entries) AS entries,
        -- A link that is followed again within an hour of a click that counts is the same click, as in clicks_counted.
        arrayFilter(
            touch -> touch.1 <= sold_at AND touch.1 >= sold_at - toIntervalDay({lookback_days:UInt16}),
            arrayFold(
                (chosen, touch) -> if(empty(chosen) OR touch.1 > chosen[-1].1 + toIntervalHour(1), arrayPushBack(chosen, touch), chosen),
                arraySort(groupArrayIf((c.clicked_at, c.click_id, c.name, c.channel), c.visitor_id != '')),
                []::Array(Tuple(DateTime64(3, 'UTC'), FixedString(16), String, String))
            )
        ) AS counted
    FROM
    (
        SELECT
            visitor_id,
            clicked_at,
            click_id,
            toString(channel) AS channel,
            multiIf(
                {dimension:String} = 'affiliate', affiliate_id,
                {dimension:String} = 'program', program_id,
                {dimension:String} = 'link', link_id,
                {dimension:String} = 'source', utm_source,
                {dimension:String} = 'medium', utm_medium,
                {dimension:String} = 'campaign', utm_campaign,
                channel
            ) AS name,
            visitor_link
        FROM clicks FINAL
        WHERE workspace = {workspace:String} AND NOT is_bot AND visitor_id != ''
            AND clicked_at >= {from:DateTime('UTC')} - toIntervalDay({lookback_days:UInt16} + 1) AND clicked_at < {to:DateTime('UTC')}
    ) AS c
    RIGHT JOIN
    (
        SELECT
            sale_id, sold_at, net_usd, credited, credited_channel, credited_rule, credited_click, credited_at, entries,
            arrayJoin(if(empty(visitors), [''], visitors)) AS visitor_id
        FROM
        (
            -- The browsers of a buyer are those whose clicks the buyer's sales are credited to.
            SELECT *, groupUniqArrayIf(visitor, visitor != '') OVER (PARTITION BY buyer) AS visitors
            FROM
            (
                SELECT
                    e.sale_id AS sale_id,
                    minIf(e.occurred_at, e.kind = 'payment') AS sold_at,
                    argMinIf(e.visitor_id, e.occurred_at, e.kind = 'payment') AS visitor,
                    argMinIf(
                        multiIf(e.external_customer_id != '', e.external_customer_id, e.customer_id != '', e.customer_id, e.sale_id),
                        e.occurred_at, e.kind = 'payment'
                    ) AS buyer,
                    toDecimal128(assumeNotNull(sum(e.net_usd)), 6) AS net_usd,
                    argMinIf(e.name, e.occurred_at, e.kind = 'payment') AS credited,
                    argMinIf(toString(e.channel), e.occurred_at, e.kind = 'payment') AS credited_channel,
                    argMinIf(toString(e.match_rule), e.occurred_at, e.kind = 'payment') AS credited_rule,
                    argMinIf(e.click_id, e.occurred_at, e.kind = 'payment') AS credited_click,
                    argMinIf(tuple(e.clicked_at), e.occurred_at, e.kind = 'payment').1 AS credited_at,
                    groupArray((e.name, toDecimal128(assumeNotNull(e.net_usd), 6))) AS entries
                FROM
                (
                    SELECT
                        *,
                        multiIf(
                            {dimension:String} = 'affiliate', affiliate_id,
                            {dimension:String} = 'program', program_id,
                            {dimension:String} = 'link', link_id,
                            {dimension:String} = 'source', utm_source,
                            {dimension:String} = 'medium', utm_medium,
                            {dimension:String} = 'campaign', utm_campaign,
                            channel
                        ) AS name
                    FROM ledger FINAL
                    WHERE NOT throwIf({dimension:String} NOT IN ('affiliate', 'program', 'link', 'source', 'medium', 'campaign', 'channel'),
                            'dimension is one of affiliate, program, link, source, medium, campaign, channel')
                        AND workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool}
                ) AS e
                GROUP BY e.sale_id
                HAVING countIf(e.kind = 'payment') > 0 AND count() = count(e.net_usd)
            )
        )
        WHERE sold_at >= {from:DateTime('UTC')} AND sold_at < {to:DateTime('UTC')}
    ) AS s ON c.visitor_id = s.visitor_id
    GROUP BY s.sale_id, c.visitor_id, c.visitor_link
)
GROUP BY sale_id
COMMENT 'Sales with the clicks before them; parameters: workspace, livemode, from, to, lookback_days, dimension';

-- channel_effects(workspace, livemode, from, to, lookback_days): which part of the sales would be lost without a channel. The visitors'
-- paths from channel to channel are a Markov chain of first order; the effect of a channel is 1 - P(sale without it) / P(sale) (Anderl et
-- al., "Mapping the customer journey", 2016). A hundred steps of the chain are followed; hardly any path is longer.
CREATE VIEW IF NOT EXISTS channel_effects AS
WITH
    -- One path a visitor: channels in order, a repeated one once, and whether it ended in a sale.
    paths AS
    (
        SELECT
            arrayCompact(arrayMap(
                touch -> touch.2, arraySort(arrayFilter(touch -> NOT bought OR touch.1 <= bought_at, clicked))
            )) AS channels,
            bought
        FROM
        (
            SELECT visitor_id, groupArray((clicked_at, toString(channel), click_id)) AS clicked
            FROM clicks FINAL
            WHERE workspace = {workspace:String} AND NOT is_bot AND visitor_id != ''
                AND clicked_at >= {from:DateTime('UTC')} - toIntervalDay({lookback_days:UInt16}) AND clicked_at < {to:DateTime('UTC')}
            GROUP BY visitor_id
        ) AS c
        LEFT JOIN
        (
            SELECT visitor_id, max(occurred_at) AS bought_at, true AS bought
            FROM ledger FINAL
            WHERE workspace = {workspace:String} AND status = 'booked' AND amount != 0 AND livemode = {livemode:Bool} AND kind = 'payment'
                AND visitor_id != '' AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
            GROUP BY visitor_id
        ) AS s USING (visitor_id)
        WHERE notEmpty(channels)
    ),
    steps AS
    (
        SELECT a, mapFromArrays(groupArray(b), groupArray(n / total)) AS probabilities
        FROM
        (
            SELECT a, b, count() AS n, sum(n) OVER (PARTITION BY a) AS total
            FROM paths
            ARRAY JOIN arrayPushFront(channels, '(begin)') AS a, arrayPushBack(channels, if(bought, '(sale)', '(end)')) AS b
            GROUP BY a, b
        )
        GROUP BY a
    ),
    chain AS
    (
        SELECT
            arraySort(groupUniqArrayIf(a, a != '(begin)')) AS names,
            mapFromArrays(groupArray(a), groupArray(probabilities)) AS p
        FROM steps
    )
SELECT channel, effect
FROM
(
    SELECT
        names,
        arrayMap(name -> p['(begin)'][name], names) AS begin,
        arrayMap(name -> p[name]['(sale)'], names) AS sale,
        arrayMap(name -> arrayMap(before -> p[before][name], names), names) AS into,
        -- state: the chance of a sale so far, and where the visitor is now.
        arrayMap(removed -> arrayFold(
            (state, step) -> (
                state.1 + arrayDotProduct(state.2, sale),
                arrayMap((name, from) -> if(name = removed, 0., arrayDotProduct(state.2, from)), names, into)
            ),
            range(100),
            (0., arrayMap((name, x) -> if(name = removed, 0., x), names, begin))
        ).1, arrayPushFront(names, '')) AS sales
    FROM chain
)
ARRAY JOIN names AS channel, arrayMap(x -> if(sales[1] = 0, 0., 1 - x / sales[1]), arrayPopFront(sales)) AS effect
COMMENT 'Removal effect of each channel, 0 to 1; parameters: workspace, livemode, from, to, lookback_days';

-- reporting_rates(currency, source): USD per unit of a currency, in force from day to until. A rate that is published for its day is used for
-- seven days more, as the processor does. Of several sources of a day the given one is used, else the first by name.
CREATE VIEW IF NOT EXISTS reporting_rates AS
SELECT toDate('1970-01-01') AS day, toDate('2149-06-06') AS until, toDecimal128(1, 18) AS usd
WHERE {currency:String} = 'usd'
UNION ALL
SELECT date, if(min(valid_to) = toDate('1970-01-01'), date + 7, min(valid_to)), argMin(f.usd, (source != {source:String}, source))
FROM fx_rates AS f FINAL
WHERE currency = {currency:String} AND fault = '' AND f.usd > 0
GROUP BY date
COMMENT 'Exchange rates to show USD in another currency; parameters: currency, source';

-- activity(workspace, livemode, from, to, dimension, only, without, currency, rates): clicks that count, persons that signed up, and booked
-- entries, in one list.
--   what                   click, lead or entry
--   name                   the program, affiliate, link, source, medium, campaign, channel, country or device, as dimension says; empty: none
--   who                    the visitor of a click, the person of a lead, the buyer of an entry
--   sale_id, kind          of an entry
--   attributed             whether somebody is credited with an entry
--   first_sale             whether it is of the buyer's first sale of all time
--   net                    of an entry, without tax, in the reporting currency by the rate of its day; NULL without a rate
-- only and without are filters: lists of names by dimension. What lacks a dimension has the empty name there: leads have no source,
-- medium, channel and device.
CREATE VIEW IF NOT EXISTS activity AS
SELECT
    what, at, who, quantity, sale_id, kind, attributed, first_sale, net,
    multiIf(
        {dimension:String} = 'program', program,
        {dimension:String} = 'affiliate', affiliate,
        {dimension:String} = 'link', link,
        {dimension:String} = 'source', source,
        {dimension:String} = 'medium', medium,
        {dimension:String} = 'campaign', campaign,
        {dimension:String} = 'channel', channel,
        {dimension:String} = 'country', country,
        {dimension:String} = 'device', device,
        ''
    ) AS name
FROM
(
    SELECT
        'click' AS what, clicked_at AS at, visitor AS who, 1 AS quantity, '' AS sale_id, '' AS kind, false AS attributed, false AS first_sale,
        CAST(NULL, 'Nullable(Decimal(38, 6))') AS net,
        toString(program_id) AS program, affiliate_id AS affiliate, link_id AS link, toString(utm_source) AS source,
        toString(utm_medium) AS medium, toString(utm_campaign) AS campaign, toString(channel) AS channel, toString(country) AS country,
        toString(device) AS device
    FROM clicks_counted(workspace = {workspace:String}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
    UNION ALL
    SELECT 'lead', received_at, person, quantity, '', '', false, false, NULL, program_id, affiliate_id, link_id, '', '', utm_campaign, '', country, ''
    FROM people
    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
        AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
    UNION ALL
    SELECT
        'entry', e.occurred_at, e.buyer, 0, e.sale_id, e.kind, e.match_rule NOT IN ('', 'none'),
        e.sale_id IN
        (
            SELECT argMin(f.sale_id, (f.occurred_at, f.sale_id))
            FROM revenue AS f FINAL
            WHERE f.workspace = {workspace:String} AND f.livemode = {livemode:Bool} AND f.status = 'booked' AND f.amount != 0 AND f.kind = 'payment'
            GROUP BY multiIf(f.external_customer_id != '', f.external_customer_id, f.customer_id != '', f.customer_id, f.sale_id)
        ),
        multiIf(
            -- Money of the reporting currency is shown as it was paid. Minor units by Stripe's rules, as in processor/fx/exponents.csv.
            e.currency = {currency:String}, CAST(toDecimal128(e.amount - e.tax, 6) / multiIf(
                e.currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'), 1,
                e.currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd'), 1000, 100), 'Nullable(Decimal(38, 6))'),
            e.day > r.until, NULL,
            CAST(roundBankers(toDecimal256(e.net_usd, 24) / r.usd, 6), 'Nullable(Decimal(38, 6))')
        ),
        toString(e.program_id), e.affiliate_id, e.link_id, toString(e.utm_source), toString(e.utm_medium), toString(e.utm_campaign),
        toString(e.channel), toString(e.country), toString(e.device)
    FROM
    (
        SELECT *, {currency:String} AS reporting,
            multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer
        FROM revenue FINAL
        WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND status = 'booked' AND amount != 0
            AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
            AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
    ) AS e
    ASOF LEFT JOIN
    (
        SELECT day, until, usd, {currency:String} AS reporting
        FROM reporting_rates(currency = {currency:String}, source = {rates:String})
    ) AS r ON e.reporting = r.reporting AND e.day >= r.day
)
WHERE NOT throwIf(
        {dimension:String} NOT IN ('', 'program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device')
            OR notEmpty(arrayFilter(
                given -> given NOT IN ('program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device'),
                arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))})))),
        'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device')
    AND (empty({only:Map(String, Array(String))}) OR arrayAll(
        (given, names) -> has(names, map('program', program, 'affiliate', affiliate, 'link', link, 'source', source, 'medium', medium,
            'campaign', campaign, 'channel', channel, 'country', country, 'device', device)[given]),
        mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))})))
    AND (empty({without:Map(String, Array(String))}) OR NOT arrayExists(
        (given, names) -> has(names, map('program', program, 'affiliate', affiliate, 'link', link, 'source', source, 'medium', medium,
            'campaign', campaign, 'channel', channel, 'country', country, 'device', device)[given]),
        mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))})))
COMMENT 'Clicks, leads and booked entries in one list; parameters: workspace, livemode, from, to, dimension, only, without, currency, rates';

CREATE TABLE IF NOT EXISTS spend
(
    workspace    LowCardinality(String) COMMENT 'Who spent it',
    day          Date COMMENT 'On which day, as the seller of the advertisements counts days',
    affiliate_id String COMMENT 'For whom; empty if for none',
    utm_source   String COMMENT 'As in clicks; empty: not known',
    utm_campaign String COMMENT 'As in clicks; empty: not known',
    channel      LowCardinality(String) COMMENT 'As in clicks; empty: not known',
    currency     LowCardinality(String) DEFAULT 'usd' COMMENT 'ISO 4217, lower case',
    amount       Decimal(18, 6) COMMENT 'Major units of currency',
    loaded_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was loaded: a row that is loaded again under the same names replaces the one before'
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (workspace, day, channel, utm_source, utm_campaign, affiliate_id, currency)
COMMENT 'What advertisements and affiliates cost, by day; loaded from CSV by INSERT. Read with FINAL';

-- spend_shown(workspace, from, to, currency, rates): spend in the reporting currency. shown is NULL where the day has no rate for one of both.
CREATE VIEW IF NOT EXISTS spend_shown AS
SELECT
    s.day AS day, s.affiliate_id AS affiliate_id, s.utm_source AS utm_source, s.utm_campaign AS utm_campaign, toString(s.channel) AS channel,
    multiIf(
        s.currency = {currency:String}, CAST(toDecimal128(s.amount, 6), 'Nullable(Decimal(38, 6))'),
        s.own_usd IS NULL OR s.day > r.until, NULL,
        CAST(roundBankers(toDecimal256(s.amount, 24) * toDecimal256(assumeNotNull(s.own_usd), 18) / r.usd, 6), 'Nullable(Decimal(38, 6))')
    ) AS shown
FROM
(
    SELECT
        p.*, {currency:String} AS reporting,
        multiIf(p.currency = 'usd', CAST(1, 'Nullable(Decimal(38, 18))'), p.day > f.until, NULL, f.usd) AS own_usd
    FROM
    (
        SELECT *
        FROM spend FINAL
        WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day < toDate({to:DateTime('UTC')})
    ) AS p
    ASOF LEFT JOIN
    (
        SELECT
            currency, date AS day, if(min(valid_to) = toDate('1970-01-01'), date + 7, min(valid_to)) AS until,
            argMin(q.usd, (source != {rates:String}, source)) AS usd
        FROM fx_rates AS q FINAL
        WHERE fault = '' AND q.usd > 0
        GROUP BY currency, date
    ) AS f ON p.currency = f.currency AND p.day >= f.day
) AS s
ASOF LEFT JOIN
(
    SELECT day, until, usd, {currency:String} AS reporting
    FROM reporting_rates(currency = {currency:String}, source = {rates:String})
) AS r ON s.reporting = r.reporting AND s.day >= r.day
COMMENT 'Spend in the reporting currency; parameters: workspace, from, to, currency, rates';

-- When each version of an entry was first written, so that the ledger can be read as it was. The least time stays, however often a
-- version is written again. Of versions from before this table the best that is known is when the event arrived.
CREATE TABLE IF NOT EXISTS ledger_written
(
    workspace  LowCardinality(String) COMMENT 'As in ledger',
    entry_id   FixedString(16) COMMENT 'As in ledger',
    version    UInt128 COMMENT 'As in ledger',
    written_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'When this version was first written; of older ones, received_at. Read with min'
)
ENGINE = AggregatingMergeTree
ORDER BY (workspace, entry_id, version)
COMMENT 'When the versions of ledger_log were written';

CREATE MATERIALIZED VIEW IF NOT EXISTS ledger_written_mv TO ledger_written AS
SELECT workspace, entry_id, version, now64(3, 'UTC') AS written_at
FROM ledger;

INSERT INTO ledger_written (workspace, entry_id, version, written_at)
SELECT workspace, entry_id, version, received_at
FROM ledger_log;
