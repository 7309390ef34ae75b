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

	"tributary/processor/explain"
)

//go:embed explanation.html
var storyPage string

// storyTemplate escapes whatever a story tells: ids and campaigns come from whoever sends a click.
var storyTemplate = template.Must(template.New("story").Funcs(template.FuncMap{
	"clock": explain.Clock,
	"ask": func(workspace, object string) string {
		return "explain?" + url.Values{"workspace": {workspace}, "object": {object}}.Encode()
	},
	"last": func(versions []explain.Version) int { return len(versions) - 1 },
}).Parse(storyPage))

// storyView is what the page shows: a story, or a sentence why there is none.
type storyView struct {
	Workspace, Asked string
	Story            *explain.Explanation
	Fault            string
}

// serveStory tells why a row is as it is: the story that processor explain tells.
func (d *Dashboard) serveStory(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	view := storyView{Workspace: query.Get("workspace"), Asked: strings.TrimSpace(query.Get("object"))}
	if view.Workspace == "" {
		view.Workspace = d.config.Workspace
	}
	status := http.StatusOK
	switch {
	case !workspaceName.MatchString(view.Workspace):
		status, view.Fault = http.StatusBadRequest, "This cannot be the name of a workspace: it has up to 128 letters, digits, dots, colons, hyphens and underscores."
	case len(view.Asked) > 500:
		status, view.Fault = http.StatusBadRequest, "No id is that long. Ask for a Stripe id, a click's id, an entry's id, or the buyer's id in your own database."
	case view.Asked != "":
		status = d.tell(r.Context(), &view)
	}
	if r.Context().Err() != nil {
		return // nobody is there to be told
	}
	var page bytes.Buffer
	if err := storyTemplate.Execute(&page, view); err != nil {
		d.log.Error("the story's page cannot be written", "object", view.Asked, "error", err)
		http.Error(w, "The page cannot be written; the reason is in this program's log.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the reader may have gone
}

func (d *Dashboard) tell(ctx context.Context, view *storyView) int {
	ctx, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	select {
	case d.asking <- struct{}{}:
		defer func() { <-d.asking }()
	case <-ctx.Done():
		view.Fault = "Too many questions are being answered. Ask again in a moment."
		return http.StatusServiceUnavailable
	}
	story, err := explain.Explain(ctx, d.stories, view.Workspace, view.Asked, d.config.Policies(view.Workspace))
	switch {
	case errors.Is(err, explain.ErrUnknown):
		view.Fault = "Nothing is known about " + view.Asked + " in this workspace. Ids are case sensitive; an event that was sent a moment ago may still be under way."
		return http.StatusNotFound
	case err != nil:
		d.log.Warn("a story could not be told", "object", view.Asked, "workspace", view.Workspace, "error", err)
		view.Fault = "ClickHouse does not answer the dashboard's questions. Check that it runs; the reason is in this program's log."
		return http.StatusServiceUnavailable
	}
	view.Story = story
	return http.StatusOK
}
