package dashboard

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"tributary/processor/access"
	"tributary/processor/explain"
	"tributary/processor/query"
)

//go:embed explanation.html
var explanationPage string

// explanationTemplate escapes all values: ids and campaigns come from whoever sends a click.
var explanationTemplate = template.Must(template.New("explanation").Funcs(template.FuncMap{
	"clock": explain.Clock,
	"ask": func(workspace, object string) string {
		return "explain?" + url.Values{"workspace": {workspace}, "object": {object}}.Encode()
	},
	"last": func(versions []explain.Version) int { return len(versions) - 1 },
}).Parse(explanationPage))

// explanationView is what the page shows: an explanation, or why there is none.
type explanationView struct {
	Workspace, Asked string
	Explanation      *explain.Explanation
	Fault            string
}

// serveExplanation shows what processor explain prints.
func (d *Dashboard) serveExplanation(w http.ResponseWriter, r *http.Request, caller *access.Caller) {
	given := r.URL.Query()
	view := explanationView{Workspace: given.Get("workspace"), Asked: strings.TrimSpace(given.Get("object"))}
	status := http.StatusOK
	workspace, err := d.workspace(caller, given["workspace"])
	var refused *query.Fault
	switch {
	case errors.As(err, &refused):
		status, view.Fault = refused.Status, refused.Message+" "+refused.Hint
	case len(view.Asked) > 500:
		status, view.Fault = http.StatusBadRequest,
			"No id is that long. Ask for a Stripe id, a click's id, an entry's id, or the buyer's id in your own "+
				"database."
	case view.Asked != "":
		view.Workspace = workspace
		status = d.explain(r.Context(), &view)
	default:
		view.Workspace = workspace
	}
	if r.Context().Err() != nil {
		return // the client has gone
	}
	var page bytes.Buffer
	if err := explanationTemplate.Execute(&page, view); err != nil {
		d.log.Error("the explanation's page cannot be written", "object", view.Asked, "error", err)
		http.Error(w, "The page cannot be written; the reason is in this program's log.",
			http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the client may have gone
}

func (d *Dashboard) explain(ctx context.Context, view *explanationView) int {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	select {
	case d.explaining <- struct{}{}:
		defer func() { <-d.explaining }()
	case <-ctx.Done():
		view.Fault = "Too many explanations are being read. Try again in a second."
		return http.StatusServiceUnavailable
	}
	explanation, err := explain.Explain(ctx, d.store, view.Workspace, view.Asked, d.config.Policies(view.Workspace))
	switch {
	case errors.Is(err, explain.ErrUnknown):
		view.Fault = "Nothing is known about " + view.Asked +
			" in this workspace. Ids are case sensitive; an event that was sent a moment ago may not be stored yet."
		return http.StatusNotFound
	case err != nil:
		d.log.Warn("explain failed", "object", view.Asked, "workspace", view.Workspace, "error", err)
		view.Fault = "ClickHouse does not answer the dashboard's queries. Check that it runs; the reason is in this " +
			"program's log."
		return http.StatusServiceUnavailable
	}
	view.Explanation = explanation
	return http.StatusOK
}
