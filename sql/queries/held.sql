-- How much money is held, because no workspace lists the Stripe account that it is of?
-- By account and currency, in minor units as Stripe sent them. workspace: unlisted/, the account, and a digest of the secret that signed;
-- once a workspace lists the account beside that secret, the money is booked there. It is in no other question's answer.
SELECT
    r.workspace AS workspace,
    r.livemode AS livemode,
    r.currency AS currency,
    count() AS entries,
    sum(toDecimal128(r.amount, 0)) AS amount,
    min(r.occurred_at) AS oldest
FROM revenue AS r FINAL
WHERE startsWith(r.workspace, 'unlisted/') AND r.status = 'held' AND r.amount != 0
GROUP BY r.workspace, r.livemode, r.currency
ORDER BY workspace, livemode, currency
SETTINGS optimize_move_to_prewhere_if_final = 0
