package audit

import (
	"context"
	"slices"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/rollup"
)

// repairs bounds how often Repair repairs and looks again: a repaired source table changes what its
// derived tables must hold.
const repairs = 4

// Repair repairs what Run finds and is Finding.Repairable, source tables before derived ones, and
// runs again. It returns what was found at first, and what is left.
func (a *Audit) Repair(ctx context.Context, since time.Time) (found, left *Report, err error) {
	a.syncs = true
	if found, err = a.Run(ctx, since); err != nil {
		return nil, nil, err
	}
	left = found
	for range repairs {
		if !slices.ContainsFunc(left.Findings, Finding.Repairable) {
			break
		}
		if err := a.repair(ctx, left.Findings, since); err != nil {
			return found, left, err
		}
		if left, err = a.Run(ctx, since); err != nil {
			return found, nil, err
		}
	}
	return found, left, nil
}

func (a *Audit) repair(ctx context.Context, findings []Finding, since time.Time) error {
	findings = slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return !f.Repairable() })
	isDerived := func(f Finding) bool {
		return slices.Contains([]string{rollup.Table, rollup.FirstSales, ledgerLog}, f.Table) ||
			slices.Contains(derivedTables, f.Table)
	}
	if !slices.ContainsFunc(findings, func(f Finding) bool { return !isDerived(f) }) {
		found := func(table string) bool {
			return slices.ContainsFunc(findings, func(f Finding) bool { return f.Table == table })
		}
		for _, table := range derivedTables {
			if found(table) {
				if err := clickhouse.RebuildDerived(ctx, a.Live, table); err != nil {
					return err
				}
			}
		}
		if found(ledgerLog) {
			if err := repairLog(ctx, a.Live, a.RetentionDays); err != nil {
				return err
			}
		}
		if found(rollup.FirstSales) {
			if err := rollup.RepairFirstSales(ctx, a.Live); err != nil {
				return err
			}
		}
		if found(rollup.Table) {
			return rollup.Repair(ctx, a.Live, since, a.oldest())
		}
		return nil
	}
	// The derived tables are checked again after their sources are repaired.
	if err := repairSources(ctx, a.Live, a.ShadowDB, a.RetentionDays); err != nil {
		return err
	}
	return deleteUnexplained(ctx, a.Live, findings)
}
