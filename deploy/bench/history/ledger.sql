-- An entry for every tenth click: of a hundred, ninety are payments, eight refunds and two disputes of one of these. There is a buyer for
-- every fiftieth click. Three in ten payments are credited to nobody, and one entry in ten was credited to another affiliate before.
INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, received_at, customer_id, external_customer_id, billing_reason, currency,
    amount, tax, amount_usd, net_usd, fx_source, fx_final, visitor_id, affiliate_id, link_id, program_id, utm_source, utm_campaign, channel, country, device, match_rule, status, version)
WITH
    number AS n, n % 100 AS place, if(place < 90, n, n - place + n * 7 % 90) AS sale, sipHash64(sale) AS a, sipHash64(sale, 1) AS b, sipHash64(sale, 2) AS c,
    arrayJoin(if(n % 10 = 3, [1, 2], [2])) AS v,
    toUInt32(1000 * pow((if(v = 1, c, a) % 1000003) / 1000003, 3)) AS affiliate,
    affiliate * 10 + toUInt32(10 * pow((b % 1009) / 1009, 2)) AS link, a % 10 < 7 AS credited,
    fromUnixTimestamp64Milli(toInt64(toUnixTimestamp({until:DateTime('UTC')}) * 1000 - 63072000000 + 63072000000 / {total:UInt64} * 10 * n), 'UTC') AS at,
    toInt64((1900 + b % 20000) * if(place < 90, 1, -1)) AS cents
SELECT
    if(c % 100 < 30, 'largest', concat('w', toString(c % 100 - 29))), MD5(toString(n)), true, toDate(at), if(place < 90, 'payment', if(place < 98, 'refund', 'dispute')),
    concat('pi_', toString(n)), concat('in_', toString(sale)), at, at, concat('cus_', toString(c % intDiv({total:UInt64}, 50))), concat('user-', toString(c % intDiv({total:UInt64}, 50))),
    if(b % 3 = 0, 'subscription_cycle', 'subscription_create'), ['usd', 'usd', 'usd', 'eur', 'gbp'][1 + b % 5],
    cents, 0, toDecimal64(cents, 6) / 100, toDecimal64(cents, 6) / 100, 'usd', true, if(credited, lower(hex(MD5(toString(toUInt64(sale * 6))))), ''),
    if(credited, concat('affiliate-', toString(affiliate)), ''), if(credited, concat('link-', toString(link)), ''), if(credited, concat('programme-', toString(affiliate % 3)), ''),
    if(credited, concat('source-', toString(affiliate % 20)), ''), if(credited, concat('campaign-', toString(link % 80)), ''), if(credited, 'affiliate', ''), 'US', 'desktop',
    if(credited, 'click_id', 'none'), 'booked', v
FROM numbers(intDiv({first:UInt64}, 10), intDiv({count:UInt64}, 10))
WHERE c % 100 <= 30 OR NOT {few:Bool}
