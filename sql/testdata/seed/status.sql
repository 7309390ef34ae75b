-- What processors say of themselves: one line that is replaced, and a lag that nobody has reported for long.

INSERT INTO pipeline_status (what, subject, at, verdict, number, detail) VALUES
    ('lag', 'tributary-processor clicks.v1', '2050-06-11 16:00:00.000', '', 120, ''),
    ('lag', 'tributary-processor stripe.v1', '2020-06-11 16:00:00.000', '', 0, ''),
    ('audit', '', '2050-06-11 15:00:00.000', 'findings', 2, '10 records handled again'),
    ('reconcile', 'live acct_1', '2050-06-11 09:00:00.000', 'good', 0, '2050-06-01 to 2050-06-10: Equal to the cent.'),
    ('backfill', 'live', '2050-06-10 09:00:00.000', 'under_way', 4, '2050-01-01 to 2050-06-09: 4 of 13 lists are in Kafka, reading /v1/invoices');

INSERT INTO pipeline_status (what, subject, at, verdict, number, detail) VALUES
    ('lag', 'tributary-processor clicks.v1', '2050-06-11 16:00:15.000', '', 7, ''),
    ('audit', '', '2050-06-11 16:00:00.000', 'good', 0, '12 records handled again');
