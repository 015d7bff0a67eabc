package cache

import (
	"context"
	"io"
	"strings"
)

// Other reads another part of the answer's response, in the identity coding. It is nil for a
// response without that part.
func (a *Answer) Other(ctx context.Context, variant string) ([]byte, error) {
	for _, p := range a.Parts {
		if p.Variant != variant || p.Encoding != "" {
			continue
		}
		other := *a // shares the open body, and is not closed
		other.Part = p
		if bytes, ok := other.Bytes(); ok {
			return bytes, nil
		}
		body, err := other.Body(ctx, 0)
		if err != nil {
			return nil, err
		}
		bytes := make([]byte, p.Size)
		if _, err := io.ReadFull(body, bytes); err != nil {
			return nil, err
		}
		return bytes, nil
	}
	return nil, nil
}

// Narrow makes the answer a range of its part, as if that were a representation
// of its own: name, which is unlike that of any other range, goes into its ETag.
// It reports false, and does nothing, where the part has no such range or is
// encoded.
func (a *Answer) Narrow(off, size int64, name string) bool {
	if a.Part.Encoding != "" || off < 0 || size < 0 || off > a.Part.Size-size {
		return false
	}
	a.Part.Offset += off
	a.Part.Size = size
	if tag, ok := strings.CutSuffix(a.Part.ETag, `"`); ok {
		a.Part.ETag = tag + "." + name + `"`
	}
	return true
}
