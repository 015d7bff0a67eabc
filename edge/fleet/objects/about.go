package objects

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

// aboutField has the rest of a master's answer beside its bytes: a store keeps fields with
// this prefix, 2 KB in all.
const (
	aboutField = "X-Amz-Meta-Edge"
	maxAbout   = 1900
)

// about is a master's answer without its bytes.
type about struct {
	Master   string      `json:"master"`
	Received time.Time   `json:"received"`
	Fields   http.Header `json:"fields"`
}

// write puts the answer's fields, or those that matter where they are too long.
func (a about) write(h http.Header) {
	text := a.encode()
	if len(text) > maxAbout {
		few := make(http.Header)
		for _, name := range []string{"Content-Type", "Etag", "Last-Modified", "Cache-Control", "Date"} {
			if v := a.Fields[name]; len(v) == 1 && len(v[0]) < 200 {
				few[name] = v
			}
		}
		a.Fields = few
		text = a.encode()
	}
	h.Set(aboutField, text)
}

func (a about) encode() string {
	raw, _ := json.Marshal(a) // strings and a time
	return base64.RawURLEncoding.EncodeToString(raw)
}

// readAbout reads the answer's fields. ok is false for an object that no edge has put.
func readAbout(h http.Header) (a about, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(h.Get(aboutField))
	if err != nil || json.Unmarshal(raw, &a) != nil || a.Master == "" || a.Received.IsZero() {
		return about{}, false
	}
	fields := make(http.Header, len(a.Fields))
	for name, values := range a.Fields {
		fields[http.CanonicalHeaderKey(name)] = values
	}
	a.Fields = fields
	return a, true
}
