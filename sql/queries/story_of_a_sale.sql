-- How did this sale become what the ledger says it is?
-- Every version of every entry that ever belonged to the sale, oldest first within an entry; current marks the one that
-- counts. A version is written when something more became known, and a greater one wins.
-- @param workspace String: whose data
-- @param sale String: the sale_id: in_…, pi_…, ch_… or cs_…
SELECT
    toString(l.kind) AS kind,
    l.object_id AS object_id,
    l.version = max(l.version) OVER (PARTITION BY l.entry_id) AS current,
    toString(l.status) AS status,
    l.superseded_by AS superseded_by,
    l.sale_id AS sale_id,
    l.livemode AS livemode,
    l.occurred_at AS occurred_at,
    l.received_at AS received_at,
    l.currency AS currency,
    l.amount AS amount,
    l.tax AS tax,
    l.net_usd AS net_usd,
    l.fx_source AS fx_source,
    l.fx_final AS fx_final,
    l.affiliate_id AS affiliate_id,
    l.link_id AS link_id,
    l.match_rule AS match_rule,
    l.match_key AS match_key,
    l.match_candidates AS match_candidates,
    toString(l.version) AS version
FROM ledger_log AS l FINAL
WHERE l.workspace = {workspace:String} AND l.entry_id IN
(
    SELECT o.entry_id FROM ledger_log AS o FINAL WHERE o.workspace = {workspace:String} AND o.sale_id = {sale:String}
)
ORDER BY l.kind, l.object_id, min(l.occurred_at) OVER (PARTITION BY l.entry_id), l.entry_id, l.version
SETTINGS optimize_move_to_prewhere_if_final = 0
