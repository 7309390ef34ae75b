-- One affiliate, who sees what is credited to it, and nothing about buyers. Its user says who it is, and cannot say otherwise:
--
--   CREATE USER ann IDENTIFIED BY '…' SETTINGS SQL_workspace = 'acme' CONST, SQL_affiliate = 'ann' CONST;
--   GRANT {database}_affiliate TO ann;
--
-- A user without these two settings reads nothing: getSetting fails. The server must allow settings with the prefix SQL_
-- (custom_settings_prefixes), and ask for a right for system tables (select_from_system_db_requires_grant); ClickHouse's own
-- configuration has both. How many rows the tables below have, of everybody, can be read from system.tables all the same.

CREATE ROLE IF NOT EXISTS {database}_affiliate;

-- sale_id and object_id are the ids of payments; entry_id is a hash and counts as well. The columns by which workspaces and
-- affiliates are told apart are the same in all rows that one affiliate sees. They are not granted, because mergeTreeIndex and
-- EXPLAIN indexes = 1 show keys of all rows, whatever the row policies say.
GRANT SELECT(day, entry_id, occurred_at, kind, status, currency, amount, tax, amount_usd, net_usd, fx_source, clicked_at,
        program_id, link_id, utm_source, utm_medium, utm_campaign, channel, country, device, match_rule) ON {database}.revenue,
    SELECT(day, clicks, clicks_at) ON {database}.clicks_by_day,
    SELECT(month, closing, line, entry_id, kind, occurred_at, payable_at, net_usd, rule, restates, usd) ON {database}.earning_lines,
    SELECT(month, closed_at, closing, minimum_usd) ON {database}.earning_months
TO {database}_affiliate WITH REPLACE OPTION;

-- final: of two versions of a row the later counts, also for who does not write FINAL; the policies are applied after it.
-- Otherwise a sale that is now credited to somebody else would still be seen as this affiliate's.
CREATE SETTINGS PROFILE OR REPLACE {database}_affiliate SETTINGS
    readonly = 1,
    final = 1 CONST,
    apply_row_policy_after_final = 1 CONST,
    optimize_move_to_prewhere_if_final = 0 CONST,
    max_execution_time = 10 CONST,
    max_memory_usage = 1073741824 CONST
TO {database}_affiliate;

CREATE QUOTA OR REPLACE {database}_affiliate KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 60,
    FOR INTERVAL 1 hour MAX execution_time = 300
TO {database}_affiliate;

CREATE ROW POLICY OR REPLACE {database}_affiliate ON {database}.revenue
    USING workspace = getSetting('SQL_workspace') AND affiliate_id = getSetting('SQL_affiliate') AND affiliate_id != ''
        AND match_rule NOT IN ('', 'none') AND status = 'booked' AND amount != 0 AND livemode
    TO {database}_affiliate;

CREATE ROW POLICY OR REPLACE {database}_affiliate ON {database}.clicks_by_day
    USING workspace = getSetting('SQL_workspace') AND dimension = 'affiliate' AND value = getSetting('SQL_affiliate') AND value != ''
    TO {database}_affiliate;

CREATE ROW POLICY OR REPLACE {database}_affiliate ON {database}.earning_lines
    USING workspace = getSetting('SQL_workspace') AND affiliate_id = getSetting('SQL_affiliate') AND livemode
    TO {database}_affiliate;

CREATE ROW POLICY OR REPLACE {database}_affiliate ON {database}.earning_months
    USING workspace = getSetting('SQL_workspace') AND livemode
    TO {database}_affiliate;

-- Everybody else reads these tables as before, also where the server hides the rows of a table with policies from users
-- without one (users_without_row_policies_can_read_rows).
CREATE ROW POLICY OR REPLACE {database}_others ON {database}.revenue USING 1 TO ALL EXCEPT {database}_affiliate;
CREATE ROW POLICY OR REPLACE {database}_others ON {database}.clicks_by_day USING 1 TO ALL EXCEPT {database}_affiliate;
CREATE ROW POLICY OR REPLACE {database}_others ON {database}.earning_lines USING 1 TO ALL EXCEPT {database}_affiliate;
CREATE ROW POLICY OR REPLACE {database}_others ON {database}.earning_months USING 1 TO ALL EXCEPT {database}_affiliate;
