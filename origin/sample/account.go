package sample

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
)

// maxAccounts bounds the users, and the tokens, that logins make.
const maxAccounts = 10_000

// accounts are the users of a store and the tokens they hold.
type accounts struct {
	mu        sync.Mutex
	passwords map[string][32]byte // SHA-256, by user
	tokens    map[string]string   // user by token
}

// Grant makes a bearer token for a user, whom it need not know. It returns ""
// once a store holds 10,000 tokens.
func (s *Store) Grant(user string) (token string) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	return s.accounts.grant(user)
}

// grant is Grant with mu held.
func (a *accounts) grant(user string) string {
	if a.tokens == nil {
		a.tokens = map[string]string{}
	}
	if len(a.tokens) >= maxAccounts {
		return ""
	}
	token := "edge_sample_" + rand.Text()
	a.tokens[token] = user
	return token
}

// login makes the user, or checks the password of one that exists, and grants
// a token, which is "" where it does not.
func (a *accounts) login(user, password string) string {
	sum := sha256.Sum256([]byte(password))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.passwords == nil {
		a.passwords = map[string][32]byte{}
	}
	known, ok := a.passwords[user]
	switch {
	case ok && subtle.ConstantTimeCompare(known[:], sum[:]) == 0:
		return ""
	case !ok && len(a.passwords) >= maxAccounts:
		return ""
	}
	a.passwords[user] = sum
	return a.grant(user)
}

// user is whom a token belongs to.
func (a *accounts) user(token string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	user, ok := a.tokens[token]
	return user, ok
}

// known says whether a user has logged in before.
func (a *accounts) known(user string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.passwords[user]
	return ok
}

// revoke ends a token.
func (a *accounts) revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tokens, token)
}
