package npm

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/npm/packument"
)

// FilterSearch takes packages out of the answer to GET /-/v1/search: the
// elements of "objects" whose package.name is withheld. The "total" stays as it
// is: how many the registry found. The body itself is returned when nothing is
// withheld, and it is not changed. The error is for a body that is no JSON object.
func FilterSearch(body []byte, withheld func(name string) bool) ([]byte, error) {
	r := packument.NewReader(body)
	var out []byte
	done := 0 // how much of the body is in out
	err := r.Each(func(key []byte) error {
		if string(key) != "objects" || r.Kind() != jsontext.KindBeginArray {
			_, err := r.Value()
			return err
		}
		array, left, err := found(&r, withheld)
		if left != nil {
			out = append(append(out, body[done:array.From]...), left...)
			done = array.To
		}
		return err
	})
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read search results: %w", err)
	}
	if done == 0 {
		return body, nil
	}
	return append(out, body[done:]...), nil
}

// found reads the array of results of a search and returns the array without the
// withheld ones: nil when there are none.
func found(r *packument.Reader, withheld func(string) bool) (array packument.Span, left []byte, err error) {
	if err := r.Token(); err != nil {
		return array, nil, err
	}
	array.From = r.Offset() - 1
	var kept []packument.Span
	all := true
	for r.Kind() != jsontext.KindEndArray {
		v, err := r.Value()
		if err != nil {
			return array, nil, err
		}
		if slices.ContainsFunc(foundNames(r.Text(v)), withheld) {
			all = false
			continue
		}
		kept = append(kept, v)
	}
	err = r.Token()
	array.To = r.Offset()
	if err != nil || all {
		return array, nil, err
	}
	left = append(left, '[')
	for i, v := range kept {
		if i > 0 {
			left = append(left, ',')
		}
		left = append(left, r.Text(v)...)
	}
	return array, append(left, ']'), nil
}

// foundNames are the names that an element of the results gives its package: one,
// unless a member occurs twice.
func foundNames(element []byte) (names []string) {
	if element[0] != '{' {
		return nil
	}
	r := packument.NewReader(element)
	// It has been read before, so there is no error.
	_ = r.Each(func(key []byte) error {
		if string(key) != "package" || r.Kind() != jsontext.KindBeginObject {
			_, err := r.Value()
			return err
		}
		return r.Each(func(key []byte) error {
			isName := string(key) == "name"
			v, err := r.StringValue()
			if isName && v != (packument.Span{}) {
				names = append(names, string(r.Unquote(element[v.From:v.To])))
			}
			return err
		})
	})
	return names
}
