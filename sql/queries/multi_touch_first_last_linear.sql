-- Who would be credited with what if the first click, the last click or every click of a visitor counted?
-- Sales of the stretch of time, each with all its refunds and disputes, whenever these happened; the clicks are the visitor's
-- own in the window_days before the sale, bots left out. A sale without such clicks stays with whom the ledger credits, so
-- that each of the three columns adds up to the same money. An empty name: a click without an affiliate, or nobody at all.
-- Sales without a rate are left out. sales: in which the name took part, so it adds up to more than there are.
-- It reads clicks and the ledger themselves, not a dashboard's copies: it is a question for analysts.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param window_days UInt16 = 90: days before the sale in which a click counts
SELECT
    affiliate_id,
    uniqExact(sale_id) AS sales,
    sum(if(touch = 1, net_usd, toDecimal128(0, 12)))::Decimal(38, 6) AS first_usd,
    sum(if(touch = length(path), net_usd, toDecimal128(0, 12)))::Decimal(38, 6) AS last_usd,
    round(sum(net_usd / length(path)), 6)::Decimal(38, 6) AS linear_usd
FROM
(
    SELECT
        s.sale_id AS sale_id,
        any(s.net_usd) AS net_usd,
        arrayMap(t -> t.3, arraySort(groupArrayIf(
            (c.clicked_at, c.click_id, c.affiliate_id),
            c.visitor_id != '' AND c.clicked_at <= s.sold_at AND c.clicked_at >= s.sold_at - toIntervalDay({window_days:UInt16})
        ))) AS clicked,
        if(empty(clicked), [any(s.credited)], clicked) AS path
    FROM
    (
        SELECT
            e.sale_id AS sale_id,
            minIf(e.occurred_at, e.kind = 'payment') AS sold_at,
            argMinIf(e.visitor_id, e.occurred_at, e.kind = 'payment') AS visitor_id,
            argMinIf(e.affiliate_id, e.occurred_at, e.kind = 'payment') AS credited,
            toDecimal128(assumeNotNull(sum(e.net_usd)), 12) AS net_usd
        FROM ledger AS e FINAL
        WHERE e.workspace = {workspace:String} AND e.status = 'booked' AND e.amount != 0 AND e.livemode = {livemode:Bool}
        GROUP BY e.sale_id
        HAVING countIf(e.kind = 'payment') > 0 AND count() = count(e.net_usd)
            AND sold_at >= {from:DateTime('UTC')} AND sold_at < {to:DateTime('UTC')}
    ) AS s
    LEFT JOIN
    (
        -- A link that is followed again within an hour of a click that counts is the same click, as in clicks_counted.
        SELECT
            k.visitor_id AS visitor_id, k.affiliate_id AS affiliate_id,
            arrayJoin(arrayFold((chosen, one) -> if(empty(chosen) OR one.1 > chosen[-1].1 + toIntervalHour(1), arrayPushBack(chosen, one), chosen),
                arraySort(groupArray((k.clicked_at, k.click_id))), []::Array(Tuple(DateTime64(3, 'UTC'), FixedString(16))))) AS counted,
            counted.1 AS clicked_at, counted.2 AS click_id
        FROM clicks AS k FINAL
        WHERE k.workspace = {workspace:String} AND NOT k.is_bot AND k.visitor_id != ''
            AND k.clicked_at >= {from:DateTime('UTC')} - toIntervalDay({window_days:UInt16}) AND k.clicked_at <= {to:DateTime('UTC')}
        GROUP BY k.visitor_id, k.program_id, k.affiliate_id, k.link_id, k.utm_source, k.utm_medium, k.utm_campaign, k.utm_term, k.utm_content, k.ad_click_id,
            if(concat(k.affiliate_id, k.link_id, k.utm_source, k.utm_medium, k.utm_campaign, k.utm_term, k.utm_content, k.ad_click_id) = '', concat(k.host, k.path), '')
    ) AS c ON c.visitor_id = s.visitor_id
    GROUP BY s.sale_id
)
ARRAY JOIN path AS affiliate_id, arrayEnumerate(path) AS touch
GROUP BY affiliate_id
ORDER BY linear_usd DESC, affiliate_id
SETTINGS optimize_move_to_prewhere_if_final = 0
