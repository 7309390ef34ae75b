-- Asks own questions: people with a SQL client, dbt, notebooks.

CREATE ROLE IF NOT EXISTS {database}_analyst;

GRANT SELECT ON {database}.* TO {database}_analyst WITH REPLACE OPTION;

-- What names persons and serves no figure: records as they came, and the names that a person is known by. Whole tables: the
-- settings additional_table_filters and parallel_replicas_custom_key, and subcolumns, read columns that are not granted.
REVOKE SELECT ON {database}.stripe_events,
    SELECT ON {database}.dead_letters,
    SELECT ON {database}.facts,
    SELECT ON {database}.identities,
    SELECT ON {database}.first_names,
    SELECT ON {database}.deferred_names,
    SELECT ON {database}.erasures
FROM {database}_analyst;

-- 0 would be without a limit.
CREATE SETTINGS PROFILE OR REPLACE {database}_analyst SETTINGS
    readonly = 2,
    max_execution_time = 60 MIN 1 MAX 600,
    max_memory_usage = 4294967296 MIN 1 MAX 8589934592,
    optimize_move_to_prewhere_if_final = 0 CONST,
    distributed_product_mode = 'global',
    {pinned}
TO {database}_analyst;

-- Each user by itself.
CREATE QUOTA OR REPLACE {database}_analyst KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 120,
    FOR INTERVAL 1 hour MAX execution_time = 1800
TO {database}_analyst;
