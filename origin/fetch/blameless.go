package fetch

import (
	"net/http"

	"pkgedge/origin/health"
)

// blameless is a sink whose errors, of a full disk or of clients that left, are held
// against no master.
type blameless struct{ to Sink }

func unwanted(err error) error {
	if err == nil {
		return nil
	}
	return &health.Ours{Word: "unwanted", Err: err}
}

func (b blameless) Respond(status int, h http.Header, size int64) error {
	return unwanted(b.to.Respond(status, h, size))
}

func (b blameless) RespondWhole(status int, h http.Header, parts int) error {
	return unwanted(b.to.RespondWhole(status, h, parts))
}

func (b blameless) Part(variant, contentType, encoding string) error {
	return unwanted(b.to.Part(variant, contentType, encoding))
}

func (b blameless) Write(p []byte) (int, error) {
	n, err := b.to.Write(p)
	return n, unwanted(err)
}

// Tag passes on the edge's own ETag, where the sink takes one.
func (b blameless) Tag(etag string) {
	if t, ok := b.to.(interface{ Tag(etag string) }); ok {
		t.Tag(etag)
	}
}
