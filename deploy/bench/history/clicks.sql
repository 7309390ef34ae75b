-- total clicks of two years, of which count are inserted, beginning with the one numbered first. The largest workspace has 30 %, seventy
-- others 1 % each. Of 1,000 affiliates with ten links each few bring most; every tenth click repeats the one before it after ten minutes.
INSERT INTO clicks (workspace, click_id, clicked_at, received_at, program_id, affiliate_id, link_id, visitor_id, url, host, path, referrer, referrer_domain, utm_source,
    utm_medium, utm_campaign, channel, country, browser, browser_version, os, os_version, device, user_agent, trigger, is_bot, version)
WITH
    number - if(number % 10 = 9, 1, 0) AS n, sipHash64(n) AS a, sipHash64(n, 1) AS b, sipHash64(n, 2) AS c,
    toUInt32(1000 * pow((a % 1000003) / 1000003, 3)) AS affiliate,
    affiliate * 10 + toUInt32(10 * pow((b % 1009) / 1009, 2)) AS link,
    toUInt32(500 * pow((c % 5003) / 5003, 3)) AS site,
    toInt64(toUnixTimestamp({until:DateTime('UTC')}) * 1000 - 63072000000 + 63072000000 / {total:UInt64} * n) + if(number % 10 = 9, 600000, 0) AS ms
SELECT
    if(c % 100 < 30, 'largest', concat('w', toString(c % 100 - 29))),
    toFixedString(concat(substring(reverse(reinterpretAsFixedString(ms)), 3, 6), char(112 + number % 16), substring(MD5(toString(number)), 1, 9)), 16),
    fromUnixTimestamp64Milli(ms, 'UTC'), fromUnixTimestamp64Milli(ms + 200, 'UTC'),
    concat('programme-', toString(affiliate % 3)), concat('affiliate-', toString(affiliate)), concat('link-', toString(link)),
    lower(hex(MD5(toString(toUInt64(n * 0.6))))),
    concat('https://shop.example/landing/', toString(b % 60), '?via=affiliate-', toString(affiliate)), 'shop.example', concat('/landing/', toString(b % 60)),
    if(b % 3 = 0, '', concat('https://site', toString(site), '.example/post')), if(b % 3 = 0, '', concat('site', toString(site), '.example')),
    concat('source-', toString(affiliate % 20)), ['cpc', 'email', 'social', ''][1 + b % 4], concat('campaign-', toString(link % 80)),
    ['affiliate', 'direct', 'organic_search', 'paid_search', 'organic_social', 'email', 'referral', 'ai'][1 + toUInt32(8 * pow((b % 2003) / 2003, 2))],
    ['US', 'DE', 'GB', 'FR', 'IN', 'BR', 'CA', 'AU', 'NL', 'ES', 'IT', 'PL', 'SE', 'JP', 'MX', 'CH', 'AT', 'BE', 'DK', 'NO'][1 + toUInt32(20 * pow((c % 1501) / 1501, 2))],
    ['Chrome', 'Safari', 'Firefox', 'Edge', 'Samsung Internet', 'Opera'][1 + toUInt32(6 * pow((b % 907) / 907, 2))], toString(120 + c % 10),
    ['Windows', 'iOS', 'Android', 'macOS', 'Linux'][1 + b % 5], toString(10 + c % 8), ['desktop', 'mobile', 'tablet'][1 + toUInt32(3 * pow((b % 701) / 701, 2))],
    concat('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/', toString(120 + c % 10), '.0.0.0 Safari/537.36'),
    'link', n % 50 = 7, bitNot(toUInt64(ms + 200))
FROM numbers({first:UInt64}, {count:UInt64})
WHERE c % 100 <= 30 OR NOT {few:Bool}
SETTINGS max_partitions_per_insert_block = 0
