package account

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
)

// maxAccounts bounds the users, and the tokens, that logins make.
const maxAccounts = 10_000

// Accounts are the users of a store and the tokens they hold.
type Accounts struct {
	mu        sync.Mutex
	passwords map[string][32]byte // SHA-256, by user
	tokens    map[string]string   // user by token
}

// Grant makes a bearer token for a user, known or not. It returns "" once there are
// 10,000 tokens.
func (a *Accounts) Grant(user string) (token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.grant(user)
}

// grant is Grant with mu held.
func (a *Accounts) grant(user string) string {
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

// LogIn makes the user, or checks the password of one that exists, and grants
// a token, which is "" where it does not.
func (a *Accounts) LogIn(user, password string) string {
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

// User returns the user of a token.
func (a *Accounts) User(token string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	user, ok := a.tokens[token]
	return user, ok
}

// Known says whether a user has logged in before.
func (a *Accounts) Known(user string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.passwords[user]
	return ok
}

// Revoke ends a token.
func (a *Accounts) Revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tokens, token)
}
