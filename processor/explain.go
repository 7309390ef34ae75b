package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"tributary/processor/explain"
	"tributary/processor/workspace"
)

type explainCommand struct {
	clickhouseSettings
	workspaceSettings
	oneWorkspace
	Object string `arg:"" help:"A Stripe id (pi_…, in_…, cs_…, ch_…, re_…, du_…, cn_…, cus_…, sub_…, promo_…), a click's id, an entry's id (32 hexadecimal digits), the buyer's id in the seller's database, or any name as explanations write it (external:user_1)."`
	JSON   bool   `name:"json" help:"Print the explanation as JSON."`
}

func (c *explainCommand) Run(ctx context.Context, log *slog.Logger) error {
	workspaces, err := workspace.ReadPolicies(c.Workspaces)
	if err != nil {
		return err
	}
	if c.Workspace, err = workspaces.Choose(c.Workspace); err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	c.Object = strings.TrimSpace(c.Object)
	explanation, err := explain.Explain(ctx, store, c.Workspace, c.Object, workspaces.Policies(c.Workspace))
	if errors.Is(err, explain.ErrUnknown) {
		return fmt.Errorf("%w: %s in workspace %s (hint: ids are case sensitive, and --workspace names another one)",
			err, c.Object, c.Workspace)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(explanation)
	}
	return explanation.Print(os.Stdout)
}
