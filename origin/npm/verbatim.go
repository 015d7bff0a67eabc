package npm

import (
	"fmt"

	"pkgedge/origin/kind"
)

// Verbatim makes the one document of metadata that is kept as it is: a JSON
// object. One that says "error" and lacks the member it should have is an
// error page.
func Verbatim(body []byte, member string) ([]kind.Document, error) {
	r := newReader(body)
	if err := r.object(); err != nil {
		return nil, err
	}
	var failed, found bool
	for {
		key, _, ok, err := r.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		failed = failed || string(key) == "error"
		found = found || string(key) == member
		if _, err := r.value(); err != nil {
			return nil, err
		}
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if failed && !found {
		return nil, fmt.Errorf("%w: it is an error message", ErrDocument)
	}
	p := &plan{src: body}
	p.copy(0, len(body))
	return []kind.Document{{ContentType: typeJSON, Size: p.size, Body: p}}, nil
}
