-- Reads for others: processor dashboard, processor mcp, Grafana. Which workspace a person sees is decided by the dashboard.

CREATE ROLE IF NOT EXISTS {database}_dashboard;

-- system.parts says whether figures have changed since they were asked for, system.replicas whether the server lags.
GRANT SELECT ON {database}.*,
    SELECT ON system.parts,
    SELECT ON system.replicas
TO {database}_dashboard WITH REPLACE OPTION;

-- readonly = 2: the dashboard gives settings with each question, and may not raise these. 0 would be without a limit.
CREATE SETTINGS PROFILE OR REPLACE {database}_dashboard SETTINGS
    readonly = 2,
    max_execution_time = 30 MIN 1 MAX 90,
    max_memory_usage = 4294967296 MIN 1 MAX 4294967296,
    optimize_move_to_prewhere_if_final = 0 CONST,
    distributed_product_mode = 'global',
    {pinned}
TO {database}_dashboard;
