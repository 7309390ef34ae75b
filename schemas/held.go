package schemas

import "strings"

// HeldPrefix begins the workspaces in which the events of accounts that no workspace lists are
// kept. No workspace of the workspaces file may have such an id.
const HeldPrefix = "unlisted/"

// HeldWorkspace returns the workspace in which the events of an account are kept while no workspace
// lists it. It is one of its own, so that this money meets the clicks and buyers of nobody.
// unlisted is the record's HeaderUnlisted: what another secret signed is kept apart too, because
// the account may never get it.
func HeldWorkspace(account, unlisted string) string { return HeldPrefix + account + "/" + unlisted }

// ParseHeldWorkspace returns what HeldWorkspace was given, and reports whether workspace is such a
// workspace.
func ParseHeldWorkspace(workspace string) (account, unlisted string, held bool) {
	rest, held := strings.CutPrefix(workspace, HeldPrefix)
	slash := strings.LastIndexByte(rest, '/') // a digest has none, the account of a movement has one
	if !held || slash < 0 {
		return "", "", false
	}
	return rest[:slash], rest[slash+1:], true
}
