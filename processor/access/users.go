package access

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"

	"tributary/schemas"
)

// Users are the users file in force. Replace changes it while requests are answered.
type Users struct{ current atomic.Pointer[users] }

// users does not change once made.
type users struct {
	byName, byEmail, bySubject, byToken map[string]*schemas.User
	passwordCost                        int // the greatest of all hashes
}

// ReadUsers reads the users file. known reports whether there is a workspace.
func ReadUsers(path string, known func(workspace string) bool) (*Users, error) {
	list, err := schemas.ReadUsers(path)
	if err != nil {
		return nil, err
	}
	return newUsers(list, known)
}

func newUsers(list []schemas.User, known func(workspace string) bool) (*Users, error) {
	u := &users{make(map[string]*schemas.User), make(map[string]*schemas.User), make(map[string]*schemas.User),
		make(map[string]*schemas.User), 0}
	var faults []error
	for i := range list {
		user := &list[i]
		for _, id := range user.Workspaces {
			if id != schemas.AllWorkspaces && !known(id) {
				faults = append(faults, fmt.Errorf("user %q may see workspace %q, and there is none "+
					"(hint: --workspaces names the file that lists them)", user.Name, id))
			}
		}
		u.byName[user.Name] = user
		if cost, err := bcrypt.Cost([]byte(user.PasswordHash)); err == nil {
			u.passwordCost = max(u.passwordCost, cost)
		}
		if user.OIDCEmail != "" {
			u.byEmail[user.OIDCEmail] = user
		}
		if user.OIDCSubject != "" {
			u.bySubject[user.OIDCSubject] = user
		}
		for _, hash := range user.TokenHashes {
			u.byToken[hash] = user
		}
	}
	u.passwordCost = cmp.Or(u.passwordCost, passwordCost)
	set := new(Users)
	set.current.Store(u)
	return set, errors.Join(faults...)
}

// Replace makes the content of other that of u.
func (u *Users) Replace(other *Users) { u.current.Store(other.current.Load()) }

// OIDC reports whether anybody can log in by OpenID Connect.
func (u *Users) OIDC() bool {
	now := u.current.Load()
	return len(now.byEmail)+len(now.bySubject) > 0
}

// passwordCost returns the greatest cost of all passwords' hashes.
func (u *Users) passwordCost() int { return u.current.Load().passwordCost }

func (u *Users) byName(name string) *schemas.User { return u.current.Load().byName[name] }

// byOIDC returns the user of a subject, else of an address, which must be empty if the provider has
// not verified it.
func (u *Users) byOIDC(subject, email string) *schemas.User {
	now := u.current.Load()
	if user := now.bySubject[subject]; user != nil {
		return user
	}
	user := now.byEmail[email]
	if user != nil && user.OIDCSubject != "" {
		return nil // the address has passed to somebody else
	}
	return user
}

// byToken returns whose bearer token it is. Tokens have 260 random bits: a fast hash is enough, and
// how long a look-up takes says nothing.
func (u *Users) byToken(token string) *schemas.User {
	return u.current.Load().byToken[TokenHash(token)]
}

// TokenHash returns what stands in token_hashes for a bearer token.
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func callerOf(u *schemas.User, session bool) *Caller {
	return &Caller{Name: u.Name, Role: u.Role, Affiliate: u.Affiliate, Key: "user " + u.Name, Session: session,
		workspaces: u.Workspaces}
}
