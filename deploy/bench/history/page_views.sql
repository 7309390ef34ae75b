-- A page view for every second click, by the same visitors.
INSERT INTO page_views (workspace, page_view_id, viewed_at, received_at, visitor_id, url, host, path, channel, country, browser, device, is_bot, version)
WITH
    number * 2 AS n, sipHash64(n, 1) AS b, sipHash64(n, 2) AS c,
    toInt64(toUnixTimestamp({until:DateTime('UTC')}) * 1000 - 63072000000 + 63072000000 / {total:UInt64} * n) AS ms
SELECT
    if(c % 100 < 30, 'largest', concat('w', toString(c % 100 - 29))),
    toFixedString(concat(substring(reverse(reinterpretAsFixedString(ms)), 3, 6), char(112 + n % 16), substring(MD5(toString(n)), 1, 9)), 16),
    fromUnixTimestamp64Milli(ms, 'UTC'), fromUnixTimestamp64Milli(ms + 200, 'UTC'), lower(hex(MD5(toString(toUInt64(n * 0.6))))),
    concat('https://shop.example/page/', toString(b % 90)), 'shop.example', concat('/page/', toString(b % 90)), 'direct',
    ['US', 'DE', 'GB', 'FR', 'IN', 'BR', 'CA', 'AU', 'NL', 'ES', 'IT', 'PL', 'SE', 'JP', 'MX', 'CH', 'AT', 'BE', 'DK', 'NO'][1 + toUInt32(20 * pow((c % 1501) / 1501, 2))],
    ['Chrome', 'Safari', 'Firefox', 'Edge', 'Samsung Internet', 'Opera'][1 + toUInt32(6 * pow((b % 907) / 907, 2))],
    ['desktop', 'mobile', 'tablet'][1 + toUInt32(3 * pow((b % 701) / 701, 2))], n % 50 = 7, bitNot(toUInt64(ms + 200))
FROM numbers(intDiv({first:UInt64}, 2), intDiv({count:UInt64}, 2))
WHERE c % 100 <= 30 OR NOT {few:Bool}
SETTINGS max_partitions_per_insert_block = 0
