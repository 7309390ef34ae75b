package access

import (
	"context"
	"slices"

	"tributary/schemas"
)

// Roles of the users file.
const (
	Owner     = "owner"     // sees everything in a workspace, and makes links for affiliates
	Analyst   = "analyst"   // sees everything in a workspace
	Affiliate = "affiliate" // sees its own figures only
)

// Caller is who sends a request. It does not change once made.
type Caller struct {
	Name      string
	Role      string
	Affiliate string // whose figures may be seen; empty unless Role is Affiliate

	// Key identifies a caller where something is limited for each of them.
	Key string
	// Session reports whether a cookie identifies the caller, so that a browser may be made to send
	// requests in its name.
	Session bool

	workspaces []string // AllWorkspaces alone: all that there are
}

// Everybody is who sends requests where there is no login: an owner of all workspaces. The page
// listens on loopback only then.
var Everybody = &Caller{Name: "everybody", Role: Owner, Key: "everybody", workspaces: []string{schemas.AllWorkspaces}}

// May reports whether the caller may see figures of a workspace.
func (c *Caller) May(workspace string) bool {
	return slices.Contains(c.workspaces, workspace) || slices.Contains(c.workspaces, schemas.AllWorkspaces)
}

// callerKey is the key of the caller in a request's context.
type callerKey struct{}

// FromContext returns who sends the request that ctx belongs to; nil outside [Guard.Protect].
func FromContext(ctx context.Context) *Caller {
	caller, _ := ctx.Value(callerKey{}).(*Caller)
	return caller
}

func withCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}
