package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

const (
	passwordCost  = 12 // some 250 ms on one core
	minPassword   = 10 // characters
	maxPassword   = 72 // bytes: bcrypt reads no more
	maxComparing  = 2  // passwords that are compared at a time: each takes a core
	tokenPrefix   = "trib_"
	viewTokenPath = "/view/"
)

// HashPassword returns what stands in password_hash for a password.
func HashPassword(password string) (string, error) {
	switch {
	case len([]rune(password)) < minPassword:
		return "", fmt.Errorf("the password has fewer than %d characters (hint: several words are easier to remember)",
			minPassword)
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password has more than %d bytes, and bcrypt would leave out the rest", maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	return string(hash), nil
}

// NewToken returns a bearer token of 260 random bits, and what stands in token_hashes for
// it.
func NewToken() (token, hash string) {
	token = tokenPrefix + rand.Text() + rand.Text()
	return token, TokenHash(token)
}

// nobodysHash is a hash of that cost whose password nobody has.
func nobodysHash(cost int) string {
	return fmt.Sprintf("$2a$%02d$L1tRwAWP9Ey4B4M0weHqU.y.LyiIxqU84hMCTCdPDyQU5xjiEskeq", cost)
}

var errWrongPassword = errors.New("there is no such user, or the password is another one")

// passwords compares passwords, a few at a time.
type passwords chan struct{}

// check returns nil if a password has the hash. Where there is no hash, or one of a lower cost, it
// also compares one of that cost: how long an answer takes does not say which names are users'.
func (p passwords) check(ctx context.Context, hash, password string, cost int) error {
	select {
	case p <- struct{}{}:
		defer func() { <-p }()
	case <-ctx.Done():
		return ctx.Err()
	}
	wrong := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	if own, err := bcrypt.Cost([]byte(hash)); err != nil || own < cost {
		_ = bcrypt.CompareHashAndPassword([]byte(nobodysHash(cost)), []byte(password))
	}
	if wrong != nil {
		return errWrongPassword
	}
	return nil
}
