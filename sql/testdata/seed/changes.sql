-- What changed between 2 and 4 January 2020, by the time at which versions were written. By hand:
--
--   x1  50, credited to ann on the 1st, to bob on the 3rd by one more click: change 0
--   x2  in euro, without a rate on the 1st, worth 8 on the 3rd: change +8
--   x3  20, booked on the 1st, found to be another object's on the 3rd: change -20
--   x4  written first on the 3rd: +30
--   x5  changed on the 1st and again on the 5th only: it is the same at both times
--   x6  a version more on the 3rd, which changes nothing that is shown
-- A version begins with its class (bits 126, 127: 1 booked, 3 superseded), has its extent in bits 102 to 124 and its rate in the last two.
-- Rows are written now; the least time of a version counts, and that is the one that is given here.
INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, currency, amount, net_usd, affiliate_id, match_rule, status, version) VALUES
    ('changes', 'x1', true, '2019-12-01', 'payment', 'pi_x1', 'pi_x1', '2019-12-01 10:00:00.000', 'usd', 5000, 50, 'ann', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(1), 102))),
    ('changes', 'x1', true, '2019-12-01', 'payment', 'pi_x1', 'pi_x1', '2019-12-01 10:00:00.000', 'usd', 5000, 50, 'bob', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(2), 102))),
    ('changes', 'x2', true, '2019-12-02', 'payment', 'pi_x2', 'pi_x2', '2019-12-02 10:00:00.000', 'eur', 700, NULL, 'ann', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(1), 102))),
    ('changes', 'x2', true, '2019-12-02', 'payment', 'pi_x2', 'pi_x2', '2019-12-02 10:00:00.000', 'eur', 700, 8, 'ann', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitOr(bitShiftLeft(toUInt128(1), 102), toUInt128(2)))),
    ('changes', 'x3', true, '2019-12-03', 'payment', 'ch_x3', 'ch_x3', '2019-12-03 10:00:00.000', 'usd', 2000, 20, '', 'none', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(1), 102))),
    ('changes', 'x3', true, '2019-12-03', 'payment', 'ch_x3', 'in_x3', '2019-12-03 10:00:00.000', 'usd', 0, 0, '', 'none', 'superseded', bitOr(bitShiftLeft(toUInt128(3), 126), bitShiftLeft(toUInt128(2), 102))),
    ('changes', 'x4', true, '2019-12-04', 'payment', 'pi_x4', 'pi_x4', '2019-12-04 10:00:00.000', 'usd', 3000, 30, 'ann', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(1), 102))),
    ('changes', 'x5', true, '2019-12-05', 'payment', 'pi_x5', 'pi_x5', '2019-12-05 10:00:00.000', 'usd', 4000, 40, 'ann', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(1), 102))),
    ('changes', 'x5', true, '2019-12-05', 'payment', 'pi_x5', 'pi_x5', '2019-12-05 10:00:00.000', 'usd', 4000, 40, 'bob', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(2), 102))),
    ('changes', 'x6', true, '2019-12-06', 'payment', 'pi_x6', 'pi_x6', '2019-12-06 10:00:00.000', 'usd', 6000, 60, 'ann', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(1), 102))),
    ('changes', 'x6', true, '2019-12-06', 'payment', 'pi_x6', 'pi_x6', '2019-12-06 10:00:00.000', 'usd', 6000, 60, 'ann', 'click_id', 'booked', bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(2), 102)));

INSERT INTO ledger_written (workspace, entry_id, version, written_at)
SELECT workspace, entry_id, version, multiIf(
    bitAnd(version, toUInt128(3)) = 2 OR trim(BOTH '\0' FROM entry_id) = 'x4', '2020-01-03 12:00:00.000',
    bitAnd(bitShiftRight(version, 102), toUInt128(3)) = 1, '2020-01-01 12:00:00.000',
    trim(BOTH '\0' FROM entry_id) = 'x5', '2020-01-05 12:00:00.000',
    '2020-01-03 12:00:00.000')::DateTime64(3, 'UTC')
FROM ledger_log
WHERE workspace = 'changes';
