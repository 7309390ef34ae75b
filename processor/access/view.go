package access

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// MaxViewDays is how long a link for an affiliate may be good for.
const MaxViewDays = 366

// view is a link that shows one affiliate its own figures, to whoever has it.
type view struct {
	Workspace string `json:"w"`
	Affiliate string `json:"a"`
	By        string `json:"b"` // the owner who made it; empty: the command
	Expires   int64  `json:"e"` // Unix seconds
}

// Views makes and reads links for affiliates. A new key makes all older links void; so does taking
// the owner who made one out of the users file, for that owner's links.
type Views struct {
	signer *signer
	public *url.URL
}

// NewViews makes links with a key, below the dashboard's public address.
func NewViews(secret string, public *url.URL) (*Views, error) {
	s, err := newSigner(secret, "view")
	if err != nil {
		return nil, err
	}
	return &Views{s, public}, nil
}

// Link returns the address at which an affiliate sees its figures until expires. by is the owner
// who makes it, empty for an operator.
func (v *Views) Link(workspace, affiliate, by string, now, expires time.Time) (string, error) {
	switch {
	case workspace == "" || affiliate == "":
		return "", errors.New("a link needs a workspace and an affiliate (hint: --workspace and --affiliate)")
	case len(workspace) > maxNameBytes || len(affiliate) > maxNameBytes:
		return "", fmt.Errorf("a workspace or affiliate has more than %d bytes (hint: use the id that stands in links)",
			maxNameBytes)
	case !expires.After(now) || expires.After(now.AddDate(0, 0, MaxViewDays)):
		return "", fmt.Errorf("a link is good for 1 to %d days (hint: --days)", MaxViewDays)
	}
	token, err := v.signer.sign(view{workspace, affiliate, by, expires.Unix()})
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(v.public.String(), "/") + viewTokenPath + token, nil
}

// maxNameBytes is how long the names in a link may be: the link must fit into an address.
const maxNameBytes = 500

// read returns the view of a token, and false if it is not ours or has expired.
func (v *Views) read(token string, now time.Time) (view, bool) {
	var shown view
	if !v.signer.open(token, &shown) || now.Unix() >= shown.Expires {
		return view{}, false
	}
	return shown, true
}
