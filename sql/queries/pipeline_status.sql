-- Do the processors keep up, and what did the last checks find?
-- Of all workspaces together. what: lag (subject: consumer group and topic; number: records that wait in Kafka, after a processor's
-- start those too that are read again, which are in all figures already), audit and reconcile (verdict: good, findings, of which
-- there are number, or unproven: no difference, but not everything could be compared), backfill (verdict: under_way or done; number:
-- lists that are read). at: when it was so. known: false for a lag
-- that no processor has reported for two minutes: what it is now is not known. A check without a row has never been run.
SELECT s.what AS what, s.subject AS subject, s.at AS at, s.verdict AS verdict, s.number AS number, s.detail AS detail,
    (s.what != 'lag' OR s.at > now() - INTERVAL 2 MINUTE)::Bool AS known
FROM pipeline_status AS s FINAL
ORDER BY what, subject
SETTINGS optimize_move_to_prewhere_if_final = 0
