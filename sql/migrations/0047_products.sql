-- +goose Up
-- What was sold. Facts keep the lines of an invoice, an entry what each product has of it. Columns are added, and stored rows say that no
-- product is named, until "processor replay rebuild --exchange" has booked them again. Executed again, nothing is left to do.
ALTER TABLE facts
    ADD COLUMN IF NOT EXISTS line_ids Array(String) COMMENT 'Lines of what was sold, or of what a credit note gives back: ids of the invoice''s lines; an empty one: it is none. Empty: no product is named' AFTER billing_reason,
    ADD COLUMN IF NOT EXISTS line_products Array(String) COMMENT 'The product of each line: prod_…, or what the seller''s metadata names; empty: not named, or as the invoice says' AFTER line_ids,
    ADD COLUMN IF NOT EXISTS line_net Array(Int64) COMMENT 'Minor units without tax, discounts subtracted, of each line; only their proportions count' AFTER line_products,
    COMMENT COLUMN kind 'payment, refund, refund_reversal, dispute, dispute_reversal; refunded_total: how much of a charge was refunded by then; failed: the charge failed, and whatever had been paid by it went back; detached: the payment was taken off its invoice; authorization: less was captured than authorised; presented: what the buyer saw in another currency; credited: for which lines of its invoice a refund was made; settlement_… of one of them: what Stripe''s balance was moved by';

-- The tables that views fill come first: a processor may be inserting meanwhile.
ALTER TABLE ledger_log
    ADD COLUMN IF NOT EXISTS products Array(LowCardinality(String)) COMMENT 'What was sold: prod_…, or the seller''s own id; an empty name: not named. Empty: no product is named' AFTER discount,
    ADD COLUMN IF NOT EXISTS product_net Array(Int64) COMMENT 'Minor units without tax, signed: what each of products has of the entry. They add up to amount - tax' AFTER products;
ALTER TABLE revenue
    ADD COLUMN IF NOT EXISTS products Array(LowCardinality(String)) COMMENT 'As in ledger' AFTER net_usd,
    ADD COLUMN IF NOT EXISTS product_net Array(Int64) COMMENT 'As in ledger' AFTER products;
ALTER TABLE ledger
    ADD COLUMN IF NOT EXISTS products Array(LowCardinality(String)) COMMENT 'What was sold: prod_…, or the seller''s own id; an empty name: not named. Empty: no product is named' AFTER discount,
    ADD COLUMN IF NOT EXISTS product_net Array(Int64) COMMENT 'Minor units without tax, signed: what each of products has of the entry. They add up to amount - tax' AFTER products;
ALTER TABLE ledger_log_mv MODIFY QUERY
SELECT * FROM ledger;
ALTER TABLE revenue_mv MODIFY QUERY
SELECT
    workspace, livemode, day, entry_id, occurred_at, kind, status, object_id, sale_id, customer_id,
    external_customer_id, subscription_id, billing_reason, currency, amount, tax, amount_usd, net_usd, products, product_net, fx_source,
    click_id, clicked_at, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country,
    device, match_rule, match_key, version, 0 AS moved
FROM ledger;

CREATE OR REPLACE VIEW ledger_current
(
    workspace            LowCardinality(String) COMMENT 'The account''s workspace; unlisted/, the account and a digest of the signing secret while no workspace lists it',
    entry_id             String COMMENT 'Hexadecimal text. Hash of account, mode, object_id and kind, and of the balance transaction of a dispute or the figure of a charge''s refunded total: one movement of money is one entry',
    account              LowCardinality(String) COMMENT 'acct_… of a connected account; empty for the platform''s own',
    livemode             Bool COMMENT 'false: test mode, never in one sum with live money',
    day                  Date COMMENT 'UTC day of occurred_at; a better source may refine it',
    kind                 Enum8('payment' = 1, 'refund' = 2, 'refund_reversal' = 3, 'dispute' = 4, 'dispute_reversal' = 5) COMMENT 'What moved',
    object_id            String COMMENT 'The movement''s own object: payment intent, charge, session, invoice payment outside Stripe, refund, dispute; an invoice for what no payment of it explains',
    sale_id              String COMMENT 'The sale: the invoice if there is one, else the payment''s object. A sale may have several payments; count sales by it',
    occurred_at          DateTime64(3, 'UTC') COMMENT 'When the money moved, by the best source known',
    received_at          DateTime64(3, 'UTC') COMMENT 'When the edge took the event that describes it',
    customer_id          String COMMENT 'cus_…; empty for a guest',
    external_customer_id String COMMENT 'The buyer''s id in the seller''s database; empty if unknown',
    subscription_id      String COMMENT 'sub_…; empty if none',
    billing_reason       LowCardinality(String) COMMENT 'Stripe''s billing_reason; empty if none',
    currency             LowCardinality(String) COMMENT 'Lower case, as Stripe sent it',
    amount               Int64 COMMENT 'Minor units as Stripe sent them; signed: money out is negative',
    tax                  Int64 COMMENT 'Minor units, signed, contained in amount',
    tax_derived          Bool COMMENT 'true: the share of the sale''s tax that a refund or dispute takes along, because Stripe does not say it',
    shipping             Int64 COMMENT 'Minor units, signed, contained in amount',
    discount             Int64 COMMENT 'Minor units, signed, not contained in amount',
    products             Array(LowCardinality(String)) COMMENT 'What was sold: prod_…, or the seller''s own id; an empty name: not named. Empty: no product is named',
    product_net          Array(Int64) COMMENT 'Minor units without tax, signed: what each of products has of the entry. They add up to amount - tax',
    amount_usd           Nullable(Decimal(18, 6)) COMMENT 'amount in USD, exact, rounded once, half to even; NULL without a rate',
    net_usd              Nullable(Decimal(18, 6)) COMMENT '(amount - tax) in USD, in the same way',
    fx_rate              Nullable(Decimal(38, 18)) COMMENT 'USD per major unit',
    fx_date              Nullable(Date) COMMENT 'Day of the rate',
    fx_source            LowCardinality(String) COMMENT 'Where the rate is from; usd: no conversion; stripe: what Stripe settled; empty: no rate yet',
    fx_final             Bool COMMENT 'false: a later rate may replace this one',
    click_id             String COMMENT 'The credited click, a UUID as text; empty when no single click is known',
    clicked_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was clicked',
    link_id              String COMMENT 'Copied from the click',
    affiliate_id         String COMMENT 'Copied from the click, or named by the sale itself',
    program_id           LowCardinality(String) COMMENT 'Copied from the click',
    visitor_id           String COMMENT 'Copied from the click',
    utm_source           LowCardinality(String) COMMENT 'Copied from the click',
    utm_medium           LowCardinality(String) COMMENT 'Copied from the click',
    utm_campaign         LowCardinality(String) COMMENT 'Copied from the click',
    utm_term             String COMMENT 'Copied from the click',
    utm_content          String COMMENT 'Copied from the click',
    channel              LowCardinality(String) COMMENT 'Copied from the click',
    country              LowCardinality(String) COMMENT 'Copied from the click',
    device               LowCardinality(String) COMMENT 'Copied from the click',
    match_rule           LowCardinality(String) COMMENT 'Why: click_id, external_customer, stripe_customer, subscription, affiliate, promotion_code, email, sale, manual; none: not attributed',
    match_key            String COMMENT 'The name that led to the click or affiliate',
    match_candidates     Array(String) COMMENT 'Everything else that could have been credited, rule:target, best first',
    status               Enum8('booked' = 1, 'held' = 2, 'superseded' = 3) COMMENT 'Always booked: held, superseded and zero entries are in ledger',
    superseded_by        String COMMENT 'Always empty: what is booked under another object is in ledger',
    version              UInt128 COMMENT 'As in ledger'
)
AS SELECT
    l.workspace AS workspace,
    lower(hex(l.entry_id)) AS entry_id,
    l.account AS account,
    l.livemode AS livemode,
    l.day AS day,
    l.kind AS kind,
    l.object_id AS object_id,
    l.sale_id AS sale_id,
    l.occurred_at AS occurred_at,
    l.received_at AS received_at,
    l.customer_id AS customer_id,
    l.external_customer_id AS external_customer_id,
    l.subscription_id AS subscription_id,
    l.billing_reason AS billing_reason,
    l.currency AS currency,
    l.amount AS amount,
    l.tax AS tax,
    l.tax_derived AS tax_derived,
    l.shipping AS shipping,
    l.discount AS discount,
    l.products AS products,
    l.product_net AS product_net,
    l.amount_usd AS amount_usd,
    l.net_usd AS net_usd,
    l.fx_rate AS fx_rate,
    l.fx_date AS fx_date,
    l.fx_source AS fx_source,
    l.fx_final AS fx_final,
    if(l.click_id = toFixedString('', 16), '', UUIDNumToString(l.click_id)) AS click_id,
    l.clicked_at AS clicked_at,
    l.link_id AS link_id,
    l.affiliate_id AS affiliate_id,
    l.program_id AS program_id,
    l.visitor_id AS visitor_id,
    l.utm_source AS utm_source,
    l.utm_medium AS utm_medium,
    l.utm_campaign AS utm_campaign,
    l.utm_term AS utm_term,
    l.utm_content AS utm_content,
    l.channel AS channel,
    l.country AS country,
    l.device AS device,
    l.match_rule AS match_rule,
    l.match_key AS match_key,
    l.match_candidates AS match_candidates,
    l.status AS status,
    l.superseded_by AS superseded_by,
    l.version AS version
FROM ledger AS l FINAL
WHERE l.status = 'booked' AND l.amount != 0
COMMENT 'The money as it is booked: one row for each movement, with its attribution and everything else that is known of it';

-- Written by templates/activity.sql: product is a dimension.
CREATE OR REPLACE VIEW activity AS
WITH
    if({stored:Bool},
        (
            SELECT groupArray(day)
            FROM
            (
                SELECT day
                FROM click_days
                WHERE workspace = {workspace:String} AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1)
                GROUP BY day
                HAVING max(computed_at) <= max(changed_at) + toIntervalMinute(1) OR max(counted_at) < max(computed_at)
            )
        ),
        arrayMap(n -> toDate({from:DateTime('UTC')}) + n, range(dateDiff('day', toDate({from:DateTime('UTC')}), toDate({to:DateTime('UTC')} - 1)) + 1))) AS open,
    (
        -- FINAL reads from every part that may have a key, so one of each month, unless a condition on the key rules it out. Read
        -- without FINAL, for an id counts here that any version of it is of these days.
        SELECT (min(click_id), max(click_id))
        FROM clicks
        WHERE workspace = {workspace:String} AND notEmpty(open)
            AND has(arrayConcat(open, arrayMap(day -> day - 1, open)), toDate(clicked_at))
    ) AS ids
SELECT
    what, at, who, visitor, quantity, sale_id, kind, attributed, first_sale, net,
    if({dimension:String} = 'program', program, if({dimension:String} = 'affiliate', affiliate, if({dimension:String} = 'link', link, if({dimension:String} = 'source', source, if({dimension:String} = 'medium', medium, if({dimension:String} = 'campaign', campaign, if({dimension:String} = 'channel', channel, if({dimension:String} = 'country', country, if({dimension:String} = 'device', device, if({dimension:String} = 'product', product, '')))))))))) AS name
FROM
(
    SELECT
        'click' AS what, c.clicked_at AS at, c.visitor AS who, sipHash64(c.visitor) AS visitor, 1 AS quantity, '' AS sale_id, '' AS kind,
        false AS attributed, false AS first_sale, CAST(NULL, 'Nullable(Decimal(38, 6))') AS net,
        program_id AS program,
        toLowCardinality(affiliate_id) AS affiliate,
        toLowCardinality(link_id) AS link,
        utm_source AS source,
        utm_medium AS medium,
        utm_campaign AS campaign,
        channel AS channel,
        country AS country,
        device AS device,
        '' AS product
    FROM clicks AS c FINAL
    WHERE workspace = {workspace:String} AND click_id >= ids.1 AND click_id <= ids.2 AND NOT is_bot AND clicked_at >= {from:DateTime('UTC')} AND clicked_at < {to:DateTime('UTC')}
        AND has(open, toDate(clicked_at)) AND identity(click_id) NOT IN -- identity: the index cannot help, and searching it takes longer
        (
            SELECT arrayJoin(arrayFold(
                (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                arraySort(groupArray((clicked_at, click_id))),
                (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))).2)
            FROM clicks FINAL
            ARRAY JOIN if(foreign_id = '', [visitor_link], [visitor_link, sipHash64('foreign', foreign_id)]) AS arrival
            WHERE workspace = {workspace:String} AND click_id >= ids.1 AND click_id <= ids.2 AND NOT is_bot AND clicked_at < {to:DateTime('UTC')}
                AND has(arrayConcat(open, arrayMap(day -> day - 1, open)), toDate(clicked_at))
            GROUP BY arrival
            HAVING count() > 1
        )
    UNION ALL
    WITH arrayResize([]::Array(LowCardinality(String)), length(counted.at), '') AS unread
    SELECT
        'click', toDateTime64(clicked, 3, 'UTC'), '', who, 1, '', '', false, false, NULL, of_program, of_affiliate, of_link, of_source, of_medium, of_campaign, of_channel, of_country, of_device, ''
    FROM clicks_by_day FINAL
    ARRAY JOIN
        counted.at AS clicked, counted.visitor AS who,
        if({dimension:String} = 'program' OR mapContains({only:Map(String, Array(String))}, 'program') OR mapContains({without:Map(String, Array(String))}, 'program'), counted.program, unread) AS of_program,
        if({dimension:String} = 'affiliate' OR mapContains({only:Map(String, Array(String))}, 'affiliate') OR mapContains({without:Map(String, Array(String))}, 'affiliate'), counted.affiliate, unread) AS of_affiliate,
        if({dimension:String} = 'link' OR mapContains({only:Map(String, Array(String))}, 'link') OR mapContains({without:Map(String, Array(String))}, 'link'), counted.link, unread) AS of_link,
        if({dimension:String} = 'source' OR mapContains({only:Map(String, Array(String))}, 'source') OR mapContains({without:Map(String, Array(String))}, 'source'), counted.source, unread) AS of_source,
        if({dimension:String} = 'medium' OR mapContains({only:Map(String, Array(String))}, 'medium') OR mapContains({without:Map(String, Array(String))}, 'medium'), counted.medium, unread) AS of_medium,
        if({dimension:String} = 'campaign' OR mapContains({only:Map(String, Array(String))}, 'campaign') OR mapContains({without:Map(String, Array(String))}, 'campaign'), counted.campaign, unread) AS of_campaign,
        if({dimension:String} = 'channel' OR mapContains({only:Map(String, Array(String))}, 'channel') OR mapContains({without:Map(String, Array(String))}, 'channel'), counted.channel, unread) AS of_channel,
        if({dimension:String} = 'country' OR mapContains({only:Map(String, Array(String))}, 'country') OR mapContains({without:Map(String, Array(String))}, 'country'), counted.country, unread) AS of_country,
        if({dimension:String} = 'device' OR mapContains({only:Map(String, Array(String))}, 'device') OR mapContains({without:Map(String, Array(String))}, 'device'), counted.device, unread) AS of_device
    WHERE workspace = {workspace:String} AND dimension = '' AND value = ''
        AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - 1) AND NOT has(open, day)
        AND clicked >= {from:DateTime('UTC')} AND clicked < {to:DateTime('UTC')}
    UNION ALL
    SELECT
        'lead', received_at, person, 0, quantity, '', '', false, false, NULL, toLowCardinality(program_id), toLowCardinality(affiliate_id), toLowCardinality(link_id), '', '', toLowCardinality(utm_campaign), '', toLowCardinality(country), '', ''
    FROM people
    WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}
        AND received_at >= {from:DateTime('UTC')} AND received_at < {to:DateTime('UTC')}
    UNION ALL
    WITH
        multiIf(
            -- Money of the reporting currency is shown as it was paid. Minor units by Stripe's rules, as in processor/fx/exponents.csv.
            e.currency = {currency:String}, CAST(toDecimal128(e.amount - e.tax, 6) / multiIf(
                e.currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'), 1,
                e.currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd'), 1000, 100), 'Nullable(Decimal(38, 6))'),
            e.day > r.until, NULL,
            CAST(roundBankers(toDecimal256(e.net_usd, 24) / nullIf(r.usd, 0), 6), 'Nullable(Decimal(38, 6))')
        ) AS whole,
        -- Parts of the net that have the proportions of product_net and add up to it: each is what all parts up to it have, less
        -- what all before it have. An entry that names no product is one part.
        arrayJoin(if({dimension:String} != 'product' AND NOT mapContains({only:Map(String, Array(String))}, 'product')
            AND NOT mapContains({without:Map(String, Array(String))}, 'product') OR empty(e.products), [('', whole)],
            arrayMap((product, upto, own) -> (toString(product), CAST(
                toDecimal256(whole, 6) * upto / arraySum(e.product_net)
                - toDecimal256(whole, 6) * (upto - own) / arraySum(e.product_net), 'Nullable(Decimal(38, 6))')),
                e.products, arrayCumSum(e.product_net), e.product_net))) AS part
    SELECT
        'entry', e.occurred_at, e.buyer, 0, 0, e.sale_id, e.kind, e.match_rule NOT IN ('', 'none'),
        e.sale_id IN
        (
            -- The buyer's earliest payment, of two at the same time that of the least sale_id. As one text, because the
            -- engine compares texts in half the time of pairs.
            SELECT substring(min(concat(toString(toUnixTimestamp64Milli(f.occurred_at) + 100000000000000), f.sale_id)), 16)
            FROM revenue AS f FINAL
            WHERE f.workspace = {workspace:String} AND f.livemode = {livemode:Bool} AND f.status = 'booked' AND f.amount != 0 AND f.kind = 'payment'
            GROUP BY multiIf(f.external_customer_id != '', f.external_customer_id, f.customer_id != '', f.customer_id, f.sale_id)
        ),
        part.2, e.program_id, toLowCardinality(e.affiliate_id), toLowCardinality(e.link_id), e.utm_source, e.utm_medium, e.utm_campaign, e.channel, e.country, e.device, part.1
    FROM
    (
        SELECT
            day, occurred_at, sale_id, kind, match_rule, currency, amount, tax, net_usd, program_id, affiliate_id, link_id, utm_source, utm_medium, utm_campaign, channel, country, device, products, product_net,
            {currency:String} AS reporting, multiIf(external_customer_id != '', external_customer_id, customer_id != '', customer_id, sale_id) AS buyer
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
        {dimension:String} NOT IN ('', 'program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device', 'product')
            OR notEmpty(arrayFilter(
                given -> given NOT IN ('program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device', 'product'),
                arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))})))),
        'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device, product')
    -- Each if is decided before reading, so that columns which only other filters need are not read.
    AND if(mapContains({only:Map(String, Array(String))}, 'program'), has({only:Map(String, Array(String))}['program'], program), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'affiliate'), has({only:Map(String, Array(String))}['affiliate'], affiliate), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'link'), has({only:Map(String, Array(String))}['link'], link), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'source'), has({only:Map(String, Array(String))}['source'], source), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'medium'), has({only:Map(String, Array(String))}['medium'], medium), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'campaign'), has({only:Map(String, Array(String))}['campaign'], campaign), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'channel'), has({only:Map(String, Array(String))}['channel'], channel), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'country'), has({only:Map(String, Array(String))}['country'], country), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'device'), has({only:Map(String, Array(String))}['device'], device), true)
    AND if(mapContains({only:Map(String, Array(String))}, 'product'), has({only:Map(String, Array(String))}['product'], product), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'program'), NOT has({without:Map(String, Array(String))}['program'], program), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'affiliate'), NOT has({without:Map(String, Array(String))}['affiliate'], affiliate), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'link'), NOT has({without:Map(String, Array(String))}['link'], link), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'source'), NOT has({without:Map(String, Array(String))}['source'], source), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'medium'), NOT has({without:Map(String, Array(String))}['medium'], medium), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'campaign'), NOT has({without:Map(String, Array(String))}['campaign'], campaign), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'channel'), NOT has({without:Map(String, Array(String))}['channel'], channel), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'country'), NOT has({without:Map(String, Array(String))}['country'], country), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'device'), NOT has({without:Map(String, Array(String))}['device'], device), true)
    AND if(mapContains({without:Map(String, Array(String))}, 'product'), NOT has({without:Map(String, Array(String))}['product'], product), true)
COMMENT 'Clicks, leads and booked entries in one list; parameters: workspace, livemode, from, to, dimension, only, without, currency, rates, stored';
