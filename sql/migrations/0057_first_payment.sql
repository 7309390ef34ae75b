-- +goose Up
-- Of two payments of a sale in one millisecond the one with the lesser id is the first, in every view and question.

CREATE OR REPLACE VIEW sale_touches AS
WITH toDateTime(greatest(0, toInt64(toUnixTimestamp({from:DateTime('UTC')})) - 86400 * ({lookback_days:UInt16} + 1)), 'UTC') AS since
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
        arrayMap(touch -> (touch.1, touch.2, touch.3, touch.4), arrayFilter(
            touch -> touch.1 < sold_at + toIntervalSecond(1) AND touch.1 >= sold_at - toIntervalDay({lookback_days:UInt16}) AND NOT touch.5,
            arrayFold(
                (chosen, touch) -> if(empty(chosen) OR touch.1 > chosen[-1].1 + toIntervalHour(1), arrayPushBack(chosen, touch), chosen),
                arraySort(groupArrayIf((c.clicked_at, c.click_id, c.name, c.channel, c.copy), c.visitor_id != '')),
                []::Array(Tuple(DateTime64(3, 'UTC'), FixedString(16), String, String, Bool))
            )
        )) AS counted
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
            visitor_link,
            foreign_id != '' AND click_id IN
            (
                SELECT arrayJoin(arrayFold(
                    (known, click) -> if(click.1 > known.1 + toIntervalHour(1), (click.1, known.2), (known.1, arrayPushBack(known.2, click.2))),
                    arraySort(groupArray((clicked_at, click_id))),
                    (toDateTime64(0, 3, 'UTC'), []::Array(FixedString(16)))
                ).2)
                FROM clicks FINAL
                WHERE workspace = {workspace:String} AND NOT is_bot AND foreign_id != '' AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
                GROUP BY foreign_id
                HAVING count() > 1
            ) AS copy
        FROM clicks FINAL
        WHERE workspace = {workspace:String} AND NOT is_bot AND visitor_id != ''
            AND clicked_at >= since AND clicked_at < {to:DateTime('UTC')}
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
                    -- Of two payments at the same time the one with the lesser id is the first, as in sales.
                    argMinIf((
                        e.visitor_id, multiIf(e.external_customer_id != '', e.external_customer_id, e.customer_id != '', e.customer_id, e.sale_id),
                        e.name, toString(e.channel), toString(e.match_rule), e.click_id, e.clicked_at
                    ), (e.occurred_at, e.object_id), e.kind = 'payment') AS first,
                    first.1 AS visitor, first.2 AS buyer, first.3 AS credited, first.4 AS credited_channel, first.5 AS credited_rule,
                    first.6 AS credited_click, first.7 AS credited_at,
                    toDecimal128(assumeNotNull(sum(e.net_usd)), 6) AS net_usd,
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

-- Amounts of a sale are in the currency of its first payment: those of another one, which a dispute or refund may have, were added to them.
CREATE OR REPLACE VIEW sales
(
    workspace            LowCardinality(String) COMMENT 'The account''s workspace',
    livemode             Bool COMMENT 'false: test mode, never in one sum with live money',
    sale_id              String COMMENT 'The sale: the invoice if there is one, else the payment''s object',
    sold_at              DateTime64(3, 'UTC') COMMENT 'When its first payment was made, UTC',
    buyer                String COMMENT 'The buyer''s id in the seller''s database, else cus_…; empty for a guest',
    sale_of_buyer        UInt64 COMMENT '1: the buyer''s first sale, 2: the second …; by sold_at. A guest''s is always 1',
    renewal              Bool COMMENT 'true: a subscription''s later invoice (billing_reason subscription_cycle)',
    subscription_id      String COMMENT 'sub_…; empty if none',
    currency             LowCardinality(String) COMMENT 'Lower case, of the first payment',
    payments             UInt64 COMMENT 'How many payments it has: an invoice may be paid in parts',
    paid                 Int64 COMMENT 'Minor units of currency, tax included: what was paid. What moved in another currency is only in net_usd',
    refunded             Int64 COMMENT 'Minor units, zero or negative: refunds, less those that failed; as paid',
    disputed             Int64 COMMENT 'Minor units, zero or negative: disputes, less what came back; as paid',
    net_usd              Nullable(Decimal(38, 6)) COMMENT 'USD without tax, refunds and disputes subtracted; empty while an entry of it has no rate',
    affiliate_id         String COMMENT 'Who is credited; empty: nobody',
    program_id           String COMMENT 'Affiliate programme; empty if none',
    link_id              String COMMENT 'Link of the credited click; empty if none',
    utm_source           String COMMENT 'Of the credited click; empty if none',
    utm_campaign         String COMMENT 'Of the credited click; empty if none',
    channel              LowCardinality(String) COMMENT 'Of the credited click; empty when no single click is known',
    country              LowCardinality(String) COMMENT 'Of the credited click, ISO 3166-1 alpha-2; empty if unknown',
    match_rule           LowCardinality(String) COMMENT 'Why it is credited so; none: not attributed',
    click_id             String COMMENT 'The credited click, as text; empty when no single click is known',
    clicked_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was clicked, UTC; empty when no single click is known',
    seconds_to_sale      Nullable(Int64) COMMENT 'Seconds from the click to the sale; empty when no single click is known'
)
COMMENT 'Each sale, with what was refunded and disputed of it, and why it is credited so'
AS SELECT
    workspace, livemode, sale_id, sold_at, buyer,
    if(buyer = '', 1, row_number() OVER (PARTITION BY workspace, livemode, buyer ORDER BY sold_at, sale_id)) AS sale_of_buyer,
    first.1 AS renewal, first.2 AS subscription_id, first.13 AS currency, payments,
    paid_in[currency] AS paid, refunded_in[currency] AS refunded, disputed_in[currency] AS disputed, net_usd,
    first.3 AS affiliate_id, first.4 AS program_id, first.5 AS link_id, first.6 AS utm_source, first.7 AS utm_campaign, first.8 AS channel, first.9 AS country,
    first.10 AS match_rule,
    if(first.11 = toFixedString('', 16), '', UUIDNumToString(first.11)) AS click_id,
    first.12 AS clicked_at,
    dateDiff('second', clicked_at, sold_at) AS seconds_to_sale
FROM
(
    SELECT
        workspace, livemode, sale_id,
        minIf(occurred_at, kind = 'payment') AS sold_at,
        argMinIf(if(external_customer_id != '', external_customer_id, customer_id), (occurred_at, object_id), kind = 'payment') AS buyer,
        argMinIf((billing_reason = 'subscription_cycle', subscription_id, affiliate_id, toString(program_id), link_id, toString(utm_source), toString(utm_campaign), channel, country,
            match_rule, click_id, clicked_at, currency), (occurred_at, object_id), kind = 'payment') AS first,
        countIf(kind = 'payment') AS payments,
        sumMapIf(map(currency, amount), kind = 'payment') AS paid_in,
        sumMapIf(map(currency, amount), kind IN ('refund', 'refund_reversal')) AS refunded_in,
        sumMapIf(map(currency, amount), kind IN ('dispute', 'dispute_reversal')) AS disputed_in,
        if(count() = count(net_usd), sum(net_usd), NULL) AS net_usd
    FROM revenue FINAL
    WHERE status = 'booked' AND amount != 0
    GROUP BY workspace, livemode, sale_id
    HAVING payments > 0
);
