-- What did the ledger say at one time, what does it say at another, and why does it differ?
-- One row for each entry whose money, credit, sale or status changed between since and until, greatest change of net USD first. Times are
-- when versions were written, not when money moved: with two midnights it is what changed in the days between. before and after: the
-- affiliate who is credited, the sale, the status, and net USD without tax, which counts while the status is booked; NULL: no rate. status
-- is empty before an entry was booked for the first time. reason: new; better_rate; more_names (one more fact, name or click that bears
-- on the entry); earlier_delivery; by_hand; superseded (booked under another object); crowded (too many payments lie near each other to
-- compare them).
-- @param workspace String: whose data
-- @param livemode Bool = true: false: Stripe's test mode
-- @param since DateTime('UTC'): the ledger before this time, UTC
-- @param until DateTime('UTC'): and before this time
-- @param credited String = '': only entries that were or are credited to this affiliate; empty: all
-- @param limit UInt32 = 100: how many rows
SELECT
    now_is.1 AS kind,
    now_is.2 AS object_id,
    now_is.3 AS occurred_at,
    multiIf(
        known = 0, 'new',
        bitShiftRight(before_version, 126) != bitShiftRight(after_version, 126), if(bitShiftRight(after_version, 126) = 3, 'superseded', 'by_hand'),
        bitAnd(bitShiftRight(bitXor(before_version, after_version), 125), 1) = 1, 'crowded',
        bitAnd(bitShiftRight(bitXor(before_version, after_version), 102), toUInt128(8388607)) != 0, 'more_names',
        bitShiftRight(bitXor(before_version, after_version), 40) != 0, 'earlier_delivery',
        'better_rate'
    ) AS reason,
    was.4 AS affiliate_before,
    now_is.4 AS affiliate_after,
    was.5 AS sale_before,
    now_is.5 AS sale_after,
    if(known = 0, '', was.6) AS status_before,
    now_is.6 AS status_after,
    if(known = 0, NULL, was.7) AS net_before,
    now_is.7 AS net_after,
    ifNull(if(status_after = 'booked', net_after, 0), 0) - ifNull(if(status_before = 'booked', net_before, 0), 0) AS change
FROM
(
    SELECT
        l.entry_id,
        countIf(w.first_written < {since:DateTime('UTC')}) AS known,
        argMaxIf((toString(l.kind), l.object_id, l.occurred_at, l.affiliate_id, l.sale_id, toString(l.status), l.net_usd), l.version,
            w.first_written < {since:DateTime('UTC')}) AS was,
        maxIf(l.version, w.first_written < {since:DateTime('UTC')}) AS before_version,
        argMax((toString(l.kind), l.object_id, l.occurred_at, l.affiliate_id, l.sale_id, toString(l.status), l.net_usd), l.version) AS now_is,
        max(l.version) AS after_version
    FROM ledger_log AS l FINAL
    INNER JOIN
    (
        SELECT entry_id, version, min(written_at) AS first_written
        FROM ledger_written
        WHERE workspace = {workspace:String}
        GROUP BY entry_id, version
        HAVING first_written < {until:DateTime('UTC')}
    ) AS w ON w.entry_id = l.entry_id AND w.version = l.version
    WHERE l.workspace = {workspace:String} AND l.livemode = {livemode:Bool}
    GROUP BY l.entry_id
    HAVING after_version != before_version
)
WHERE (was.4 != now_is.4 OR was.5 != now_is.5 OR was.6 != now_is.6 OR NOT (was.7 <=> now_is.7))
    AND ({credited:String} = '' OR was.4 = {credited:String} OR now_is.4 = {credited:String})
ORDER BY abs(change) DESC, object_id, kind, occurred_at
LIMIT {limit:UInt32}
SETTINGS optimize_move_to_prewhere_if_final = 0
