-- A person for every hundredth click.
INSERT INTO leads (workspace, lead_id, received_at, external_id, event_name, mode, quantity, person, affiliate_id, link_id, utm_campaign, country, match_rule, version)
WITH
    number * 100 AS n, sipHash64(n) AS a, sipHash64(n, 1) AS b, sipHash64(n, 2) AS c,
    toUInt32(1000 * pow((a % 1000003) / 1000003, 3)) AS affiliate,
    affiliate * 10 + toUInt32(10 * pow((b % 1009) / 1009, 2)) AS link
SELECT
    if(c % 100 < 30, 'largest', concat('w', toString(c % 100 - 29))), MD5(toString(n)),
    fromUnixTimestamp64Milli(toInt64(toUnixTimestamp({until:DateTime('UTC')}) * 1000 - 63072000000 + 63072000000 / {total:UInt64} * n), 'UTC'),
    concat('user-', toString(n)), 'Sign up', 'async', 1, concat('external:user-', toString(n)),
    concat('affiliate-', toString(affiliate)), concat('link-', toString(link)), concat('campaign-', toString(link % 80)), 'US', 'click_id', 1
FROM numbers(intDiv({first:UInt64}, 100), intDiv({count:UInt64}, 100))
WHERE c % 100 <= 30 OR NOT {few:Bool}
