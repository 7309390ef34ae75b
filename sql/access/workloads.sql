-- When the cores are busy, loading goes before reading. Printed only on request: workloads are the server's, not the database's,
-- and it has one root of them. Run it after the roles. Merges stay outside, unless the server's merge_workload says otherwise.

CREATE RESOURCE IF NOT EXISTS cpu (MASTER THREAD, WORKER THREAD);
CREATE WORKLOAD IF NOT EXISTS all SETTINGS max_concurrent_threads_ratio_to_cores = 2;
CREATE WORKLOAD IF NOT EXISTS {database}_loading IN all SETTINGS weight = 8;
CREATE WORKLOAD IF NOT EXISTS {database}_reading IN all SETTINGS weight = 2;
CREATE WORKLOAD IF NOT EXISTS {database}_affiliates IN all SETTINGS weight = 1, max_concurrent_threads_ratio_to_cores = 0.5;

ALTER SETTINGS PROFILE {database}_writer ADD SETTING workload = '{database}_loading' CONST;
ALTER SETTINGS PROFILE {database}_dashboard ADD SETTING workload = '{database}_reading' CONST;
ALTER SETTINGS PROFILE {database}_analyst ADD SETTING workload = '{database}_reading' CONST;
ALTER SETTINGS PROFILE {database}_affiliate ADD SETTING workload = '{database}_affiliates' CONST;
