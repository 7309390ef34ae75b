package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"tributary/processor/access"
	"tributary/processor/query"
	"tributary/schemas"
	"tributary/sql"
)

var errQuery = &query.Fault{
	Status:  http.StatusBadRequest,
	Code:    "bad_query",
	Message: "The query string cannot be read.",
	Hint:    "Encode it as name=value&name=value.",
}

// serveSession says who is logged in and what they may see.
func (d *Dashboard) serveSession(w http.ResponseWriter, r *http.Request, caller *access.Caller) {
	type region struct {
		ID       string `json:"id"`
		Timezone string `json:"timezone"` // IANA name
		Currency string `json:"currency"` // ISO 4217 in lower case
		// How its pages send clicks, for the command that an empty page shows.
		PublishableKey string `json:"publishable_key,omitempty"`
		Hostname       string `json:"hostname,omitempty"`
	}
	own := []region{}
	for _, known := range d.config.Workspaces() {
		if caller.May(known.Workspace) {
			r := region{ID: known.Workspace, Timezone: known.Timezone, Currency: known.Currency}
			if caller.Role != access.Affiliate {
				r.PublishableKey, r.Hostname = known.PublishableKey, known.Hostname
			}
			own = append(own, r)
		}
	}
	d.serveJSON(w, r, struct {
		Name       string   `json:"name"`
		Role       string   `json:"role"`
		Affiliate  string   `json:"affiliate,omitempty"`
		Workspaces []region `json:"workspaces"`
		Login      bool     `json:"login"`          // there is a login, and so POST /logout
		All        bool     `json:"all_workspaces"` // those to come, too
		ClickURL   string   `json:"click_url"`
	}{caller.Name, caller.Role, caller.Affiliate, own, d.config.Guard != nil, caller.May(schemas.AllWorkspaces),
		d.config.ClickURL})
}

// serveState answers with a text that differs whenever any figure may differ, so that a page need
// not ask for all of them to know. It is empty if ClickHouse does not say. A client that gives the one
// that it has hears of another as soon as there is one.
func (d *Dashboard) serveState(w http.ResponseWriter, r *http.Request, _ *access.Caller) {
	m := d.answers.another(r.Context(), r.URL.Query().Get("after"), d.stopping)
	if r.Context().Err() != nil {
		return
	}
	d.serveJSON(w, r, map[string]string{"state": m.text})
}

// serveQuestions lists the questions that the caller may ask.
func (d *Dashboard) serveQuestions(w http.ResponseWriter, r *http.Request, caller *access.Caller) {
	questions, err := sql.Questions()
	if err != nil {
		d.writeFault(w, r, err)
		return
	}
	list := []query.Description{}
	for _, q := range questions {
		if mayAsk(caller, q) {
			list = append(list, query.Describe(q, caller.Affiliate != ""))
		}
	}
	d.serveJSON(w, r, map[string][]query.Description{"questions": list})
}

// serveQuestion answers one named question.
func (d *Dashboard) serveQuestion(w http.ResponseWriter, r *http.Request, caller *access.Caller) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		errQuery.Write(w)
		return
	}
	format, err := query.ChooseFormat(given.Get("format"), r.Header.Get("Accept"))
	if err != nil {
		d.writeFault(w, r, err)
		return
	}
	delete(given, "format")
	q, values, err := d.resolve(caller, r.PathValue("name"), given)
	if err != nil {
		d.writeFault(w, r, err)
		return
	}
	if format.Name != query.JSON.Name {
		w.Header().Set("Content-Disposition", `attachment; filename="`+q.Name+"."+format.Name+`"`)
	}
	asked := ""
	if holds := query.Holds(q); holds > 0 {
		// A minute late, because ClickHouse's clock may be behind: an answer that it made just before
		// the quarter began is then of the quarter before.
		asked = d.now().Add(-time.Minute).UTC().Truncate(holds).Format(time.DateTime)
	}
	key := answerKey(q.Name, format.Name, asked, values)
	err = d.answers.serve(w, r, key, format.MediaType, func(ctx context.Context) ([]byte, error) {
		return d.asker.Ask(ctx, caller.Key, q, values, format)
	})
	if err != nil {
		w.Header().Del("Content-Disposition")
		d.writeFault(w, r, err)
	}
}

// mayAsk reports whether the caller may ask a question at all. One without a workspace is about all
// of them, so it is only for who may see all.
func mayAsk(caller *access.Caller, q sql.Question) bool {
	if caller.Affiliate != "" {
		return query.ForAffiliates(q)
	}
	ofOne := slices.ContainsFunc(q.Parameters, func(p sql.Parameter) bool { return p.Name == "workspace" })
	return ofOne || caller.May(schemas.AllWorkspaces)
}

var errAllWorkspaces = &query.Fault{Status: http.StatusForbidden, Code: "forbidden_workspace",
	Message: "This question is about all workspaces, and you may not see all.",
	Hint:    "GET /api/query lists the questions that you may ask."}

// resolve returns a question and the values that the caller may ask it with.
func (d *Dashboard) resolve(caller *access.Caller, name string, given map[string][]string,
) (sql.Question, map[string]string, error) {
	q, err := query.Find(name)
	if err != nil {
		return q, nil, err
	}
	if caller.Affiliate == "" && !mayAsk(caller, q) { // Values refuses an affiliate's
		return q, nil, errAllWorkspaces
	}
	workspace, err := d.workspace(caller, given["workspace"])
	if err != nil {
		return q, nil, err
	}
	delete(given, "workspace")
	values, err := query.Values(q, query.Scope{Workspace: workspace, Affiliate: caller.Affiliate}, given)
	return q, values, err
}

// answerKey is everything that an answer depends on, apart from the tables.
func answerKey(name, format, asked string, values map[string]string) string {
	key, _ := json.Marshal([]any{name, format, asked, values}) // strings, and keys in order
	return string(key)
}

var errNoLogin = &query.Fault{Status: http.StatusConflict, Code: "no_login",
	Message: "Without a login there is nothing to limit a link to.", Hint: "Start processor dashboard with --users."}

// defaultViewDays is how long a link for an affiliate is good for.
const defaultViewDays = 90

// makeView makes a link that shows an affiliate its own figures: workspace, affiliate and days in a
// form.
func (d *Dashboard) makeView(w http.ResponseWriter, r *http.Request, caller *access.Caller) {
	if d.config.Guard == nil {
		errNoLogin.Write(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	if err := r.ParseForm(); err != nil {
		errQuery.Write(w)
		return
	}
	workspace, err := d.workspace(caller, r.PostForm["workspace"])
	if err != nil {
		d.writeFault(w, r, err)
		return
	}
	days := defaultViewDays
	if text := r.PostForm.Get("days"); text != "" {
		if days, err = strconv.Atoi(text); err != nil {
			days = 0 // refused below
		}
	}
	expires := d.now().AddDate(0, 0, days).Truncate(time.Second)
	link, err := d.config.Guard.Views().Link(workspace, r.PostForm.Get("affiliate"), caller.Name, d.now(), expires)
	if err != nil {
		(&query.Fault{Status: http.StatusBadRequest, Code: "bad_view", Message: "This link cannot be made.",
			Hint: err.Error()}).Write(w)
		return
	}
	d.log.Info("link for an affiliate made", "user", caller.Name, "workspace", workspace,
		"affiliate", r.PostForm.Get("affiliate"), "expires", expires)
	d.serveJSON(w, r, struct {
		URL     string    `json:"url"`
		Expires time.Time `json:"expires"`
	}{link, expires.UTC()})
}
