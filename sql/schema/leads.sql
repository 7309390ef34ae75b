CREATE TABLE leads
(
    `workspace` LowCardinality(String) COMMENT 'Owner of the secret key that reported it',
    `lead_id` FixedString(16) COMMENT 'Hash of workspace, external_id and event_name: the same lead reported twice is one row',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When the edge took it; of a lead that Stripe reported, when it became one',
    `occurred_at` DateTime64(3, 'UTC') DEFAULT received_at COMMENT 'When the person became a lead, as their backend says it of an imported one; else received_at',
    `external_id` String COMMENT 'The person\'s id in the seller\'s database',
    `event_name` LowCardinality(String) COMMENT 'As the backend calls it',
    `mode` LowCardinality(String) COMMENT 'async, wait or deferred; a deferred lead only binds names and is not counted; stripe: reported by a Stripe event',
    `quantity` UInt8 COMMENT '1 to 100',
    `livemode` Bool DEFAULT true COMMENT 'false: reported by a Stripe event of test mode; what a backend reports is live',
    `vouched` Bool DEFAULT true COMMENT 'true: a backend with the secret key reported it, or Stripe; false: a browser did, so anybody may have written it',
    `person` String COMMENT 'Who it is, type:value: the seller\'s own id, else the Stripe customer, else the hash of the e-mail address. Count persons, not rows',
    `email_hash` FixedString(16) COMMENT 'Keyed hash of the normalised address; zero if none was given',
    `metadata` Map(String, String) COMMENT 'The backend\'s own values',
    `click_id` FixedString(16) COMMENT 'The click it came from; zero while unknown',
    `clicked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was clicked',
    `link_id` String COMMENT 'Copied from the click',
    `affiliate_id` String COMMENT 'Copied from the click',
    `program_id` LowCardinality(String) COMMENT 'Copied from the click',
    `utm_campaign` LowCardinality(String) COMMENT 'Copied from the click',
    `country` LowCardinality(String) COMMENT 'Copied from the click',
    `match_rule` LowCardinality(String) COMMENT 'click_id, external_customer, stripe_customer, subscription, reference or none',
    `match_key` String COMMENT 'The name that led to the click',
    `version` UInt128 COMMENT 'From content alone, as in ledger'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, lead_id)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sign-ups, trials and whatever else a backend reports, with the click they came from';
