-- Which money came in or went back, and why is it credited to whom it is?
-- Newest first. kind: payment, refund, refund_reversal (a refund failed), dispute, dispute_reversal (a dispute was won). amount: minor units
-- of currency as Stripe sent them, negative for money that went back. net_usd: without tax; NULL: no rate. clicked_at is NULL where
-- no single click is known; match_rule none: nobody is credited. An entry of several products is shown whole if one of them fits.
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param from DateTime('UTC'): begin of the time, UTC
-- @param to DateTime('UTC'): its end, not included
-- @param kinds Array(String) = []: payment, refund, refund_reversal, dispute or dispute_reversal; empty: all
-- @param match_rules Array(String) = []: manual, click_id, subscription, external_customer, stripe_customer, affiliate, promotion_code, reference, email, sale, none or ''; empty: all; ["","none"]: credited to nobody
-- @param only Map(String, Array(String)) = {}: names to show, by dimension, such as {'country':['DE','AT']}; all must fit
-- @param without Map(String, Array(String)) = {}: names to leave out, by dimension
-- @param limit UInt32 = 100: how many rows
WITH
    ['program', 'affiliate', 'link', 'source', 'medium', 'campaign', 'channel', 'country', 'device', 'product'] AS dimensions,
    map(
        'program', [toString(r.program_id)], 'affiliate', [r.affiliate_id], 'link', [r.link_id], 'source', [toString(r.utm_source)],
        'medium', [toString(r.utm_medium)], 'campaign', [toString(r.utm_campaign)], 'channel', [toString(r.channel)],
        'country', [toString(r.country)], 'device', [toString(r.device)],
        'product', if(empty(r.products), [''], CAST(r.products, 'Array(String)'))
    ) AS names
SELECT
    r.occurred_at AS occurred_at,
    r.kind AS kind,
    r.object_id AS object_id,
    r.sale_id AS sale_id,
    r.currency AS currency,
    r.amount AS amount,
    round(r.net_usd, 2)::Nullable(Decimal(38, 2)) AS net_usd,
    r.fx_source AS fx_source,
    r.affiliate_id AS affiliate_id,
    r.link_id AS link_id,
    r.utm_campaign AS utm_campaign,
    r.match_rule AS match_rule,
    r.match_key AS match_key,
    r.clicked_at AS clicked_at
FROM revenue AS r FINAL
WHERE r.workspace = {workspace:String} AND r.status = 'booked' AND r.amount != 0 AND r.livemode = {livemode:Bool}
    AND r.day >= toDate({from:DateTime('UTC')}) AND r.day <= toDate({to:DateTime('UTC')})
    AND r.occurred_at >= {from:DateTime('UTC')} AND r.occurred_at < {to:DateTime('UTC')}
    AND (SELECT throwIf(
        NOT hasAll(['payment', 'refund', 'refund_reversal', 'dispute', 'dispute_reversal'], {kinds:Array(String)}),
        'a kind is one of payment, refund, refund_reversal, dispute, dispute_reversal')) = 0
    AND (empty({kinds:Array(String)}) OR has({kinds:Array(String)}, toString(r.kind)))
    AND (empty({match_rules:Array(String)}) OR has({match_rules:Array(String)}, toString(r.match_rule)))
    AND (SELECT throwIf(
        NOT hasAll(dimensions, arrayConcat(mapKeys({only:Map(String, Array(String))}), mapKeys({without:Map(String, Array(String))}))),
        'a dimension is one of program, affiliate, link, source, medium, campaign, channel, country, device, product')) = 0
    AND arrayAll((d, given) -> hasAny(given, names[d]), mapKeys({only:Map(String, Array(String))}), mapValues({only:Map(String, Array(String))}))
    AND NOT arrayExists((d, given) -> hasAll(given, names[d]), mapKeys({without:Map(String, Array(String))}), mapValues({without:Map(String, Array(String))}))
ORDER BY r.occurred_at DESC, r.object_id, r.kind
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0, output_format_decimal_trailing_zeros = 1
