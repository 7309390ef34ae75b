-- Creates and alters tables: processor migrate, audit --repair, replay, erase, and retention_days. Keep the user that
-- migrated: materialized views insert with its rights.

CREATE ROLE IF NOT EXISTS {database}_migrator;

-- ALTER, CREATE and DROP with what belongs to them; SYSTEM SYNC REPLICA before a table is filled from others. The
-- engines are those of migrations, of the versions in Keeper and of sharded tables. A shadow database lies beside the
-- live one: NAME_replay of a rebuild, NAME_audit_… of an audit.
GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, TRUNCATE, OPTIMIZE, SYSTEM SYNC REPLICA
    ON {database}.*,
    SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, TRUNCATE, OPTIMIZE, SYSTEM SYNC REPLICA
    ON {database}_replay.*,
    SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, TRUNCATE, OPTIMIZE, SYSTEM SYNC REPLICA
    ON {database}_audit_*.*,
    SELECT ON system.*,
    TABLE ENGINE ON *,
    CLUSTER ON *.*
TO {database}_migrator WITH REPLACE OPTION;
