package packument

import (
	"fmt"

	"pkgedge/origin/kind"
)

// Verbatim makes the one document of metadata that is kept as it is: a JSON
// object. One that says "error" and lacks the member it should have is an
// error page.
func Verbatim(body []byte, member string) ([]kind.Document, error) {
	r := NewReader(body)
	var failed, found bool
	err := r.Each(func(key []byte) error {
		failed = failed || string(key) == "error"
		found = found || string(key) == member
		_, err := r.Value()
		return err
	})
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, err
	}
	if failed && !found {
		return nil, fmt.Errorf("%w: it is an error message", ErrDocument)
	}
	p := &plan{src: body}
	p.copy(0, len(body))
	return []kind.Document{{ContentType: TypeJSON, Size: p.size, Body: p}}, nil
}
