package sample

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// service answers below /-/.
func (m *Master) service(w *Answer, q *query, parts []string) {
	path := strings.Join(parts, "/")
	switch {
	case path == "ping" && q.reads():
		say(w, http.StatusOK, struct{}{})
	case path == "whoami" && q.reads():
		m.whoami(w, q)
	case path == "v1/search" && q.reads():
		m.search(w, q)
	case path == "npm/v1/security/advisories/bulk" && q.Method == http.MethodPost:
		say(w, http.StatusOK, struct{}{})
	case strings.HasPrefix(path, "npm/v1/security/audits") && q.Method == http.MethodPost:
		say(w, http.StatusOK, map[string]any{
			"actions": []int{}, "advisories": struct{}{}, "muted": []int{},
			"metadata": map[string]any{"vulnerabilities": struct{}{}},
		})
	case strings.HasPrefix(path, "user/org.couchdb.user:"):
		user, _ := strings.CutPrefix(parts[1], "org.couchdb.user:")
		m.login(w, q, user)
	case len(parts) == 3 && parts[0] == "user" && parts[1] == "token" && q.Method == http.MethodDelete:
		m.logout(w, q, parts[2])
	case len(parts) >= 3 && parts[0] == "package":
		name, rest := split(parts[1:])
		m.tags(w, q, name, rest)
	default:
		missing(w) // /-/v1/login as well: npm then logs in the way of CouchDB
	}
}

func (m *Master) whoami(w *Answer, q *query) {
	user, ok := m.store.accounts.User(q.token())
	if !ok {
		unauthorized(w)
		return
	}
	say(w, http.StatusOK, map[string]string{"username": user})
}

// login answers /-/user/org.couchdb.user:NAME, with or without /-rev/REV. A
// first login makes the user.
func (m *Master) login(w *Answer, q *query, user string) {
	id := "org.couchdb.user:" + user
	if q.reads() {
		if !m.store.accounts.Known(user) {
			missing(w)
			return
		}
		say(w, http.StatusOK, map[string]any{
			"_id": id, "_rev": "1-0", "name": user, "type": "user", "roles": []string{},
		})
		return
	}
	if q.Method != http.MethodPut {
		refuse(w, http.StatusMethodNotAllowed, "Method not allowed")
		return
	}
	var asked struct{ Name, Password string }
	if err := json.Unmarshal(q.body, &asked); err != nil || asked.Name != user || user == "" {
		refuse(w, http.StatusBadRequest, "Bad user document")
		return
	}
	token := m.store.accounts.LogIn(user, asked.Password)
	if token == "" {
		unauthorized(w)
		return
	}
	say(w, http.StatusCreated, map[string]any{"ok": true, "id": id, "rev": "1-0", "token": token})
}

func (m *Master) logout(w *Answer, q *query, token string) {
	if _, known := m.store.accounts.User(q.token()); !known {
		unauthorized(w)
		return
	}
	m.store.accounts.Revoke(token)
	say(w, http.StatusOK, map[string]bool{"ok": true})
}

// tags answers /-/package/{name}/dist-tags[/{tag}].
func (m *Master) tags(w *Answer, q *query, name string, rest []string) {
	if len(rest) == 0 || len(rest) > 2 || rest[0] != "dist-tags" {
		missing(w)
		return
	}
	if _, known := m.store.accounts.User(q.token()); !known && (private(name) || !q.reads()) {
		unauthorized(w)
		return
	}
	if q.reads() {
		p := m.content().packages[name]
		if p == nil || len(rest) == 2 {
			missing(w)
			return
		}
		say(w, http.StatusOK, p.tags)
		return
	}
	var number string
	switch {
	case len(rest) != 2 || q.Method != http.MethodPut && q.Method != http.MethodDelete:
		refuse(w, http.StatusMethodNotAllowed, "Method not allowed")
		return
	case q.Method == http.MethodPut:
		if err := json.Unmarshal(q.body, &number); err != nil || number == "" {
			refuse(w, http.StatusBadRequest, "The body is not a version")
			return
		}
	}
	if err := m.store.setTag(name, rest[1], number); err != nil {
		fail(w, err)
		return
	}
	say(w, http.StatusOK, map[string]bool{"ok": true})
}

// search answers /-/v1/search?text=…&size=…&from=…: the packages whose name or
// description holds the text, by name.
func (m *Master) search(w *Answer, q *query) {
	asked := q.URL.Query()
	size, err := strconv.Atoi(asked.Get("size"))
	if err != nil || size < 0 || size > 250 {
		size = 20
	}
	from, err := strconv.Atoi(asked.Get("from"))
	if err != nil || from < 0 {
		from = 0
	}
	now := m.content()
	found := []any{}
	total := 0
	for _, name := range now.names() {
		p := now.packages[name]
		var about string
		if json.Unmarshal(p.extra["description"], &about) != nil {
			about = ""
		}
		if private(name) || !strings.Contains(name+" "+about, asked.Get("text")) {
			continue
		}
		if total++; total > from && len(found) < size {
			found = append(found, map[string]any{
				"package": map[string]any{
					"name": name, "version": p.tags["latest"], "description": about,
					"date": stamp(p.modified), "links": struct{}{},
					"maintainers": []any{}, "keywords": []any{},
				},
				"score":       map[string]any{"final": 1, "detail": struct{}{}},
				"searchScore": 1,
			})
		}
	}
	say(w, http.StatusOK, map[string]any{"objects": found, "total": total, "time": stamp(now.newest())})
}
