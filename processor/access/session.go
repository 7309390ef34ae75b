package access

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"tributary/schemas"
)

// session is what the session cookie holds.
type session struct {
	ID          string `json:"i"`
	User        string `json:"u"`
	Fingerprint string `json:"f"` // of what the user logs in with
	Expires     int64  `json:"e"` // Unix seconds
}

// sessions are cookies and not rows of a table: any instance with the same key knows them. Ending
// one before its time is remembered by this process alone.
type sessions struct {
	signer *signer
	life   time.Duration
	secure bool

	mu    sync.Mutex       // guards ended
	ended map[string]int64 // session → when it would have expired, Unix seconds
}

// cookie names. The prefix __Host- makes browsers refuse the cookie unless it is Secure, for the
// whole site and for this host alone (RFC 6265bis §4.1.3.2).
func (s *sessions) cookieName(name string) string {
	if s.secure {
		return "__Host-" + name
	}
	return name
}

const (
	sessionCookie = "tributary_session"
	viewCookie    = "tributary_view"
	loginCookie   = "tributary_login" // while the provider is asked
)

// set makes a cookie; value "" takes it away. Lax, not Strict: a person who follows a link in a
// message, or comes back from the provider, is logged in.
func (s *sessions) set(w http.ResponseWriter, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/", MaxAge: age, Secure: s.secure,
		HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// cookie returns the value of a cookie of ours.
func (s *sessions) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

func (s *sessions) fingerprint(u *schemas.User) string {
	return s.signer.fingerprint(u.PasswordHash, u.OIDCEmail, u.OIDCSubject)
}

// begin logs a user in.
func (s *sessions) begin(w http.ResponseWriter, u *schemas.User, now time.Time) error {
	value, err := s.signer.sign(session{rand.Text(), u.Name, s.fingerprint(u), now.Add(s.life).Unix()})
	if err != nil {
		return err
	}
	s.set(w, sessionCookie, value, s.life)
	return nil
}

// user returns whose session a request has: nil without one, or when it has expired or was ended,
// or when the user is gone or logs in with something else now.
func (s *sessions) user(r *http.Request, all *Users, now time.Time) *schemas.User {
	var own session
	if !s.signer.open(s.cookie(r, sessionCookie), &own) || now.Unix() >= own.Expires || s.isEnded(own.ID) {
		return nil
	}
	u := all.byName(own.User)
	if u == nil || s.fingerprint(u) != own.Fingerprint {
		return nil
	}
	return u
}

func (s *sessions) isEnded(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ended := s.ended[id]
	return ended
}

// end logs out: the cookie is taken away, and a copy of it is good for nothing.
func (s *sessions) end(w http.ResponseWriter, r *http.Request, now time.Time) {
	var own session
	if s.signer.open(s.cookie(r, sessionCookie), &own) {
		s.mu.Lock()
		for id, expires := range s.ended {
			if expires < now.Unix() {
				delete(s.ended, id)
			}
		}
		s.ended[own.ID] = own.Expires
		s.mu.Unlock()
	}
	s.set(w, sessionCookie, "", 0)
	s.set(w, viewCookie, "", 0)
}
