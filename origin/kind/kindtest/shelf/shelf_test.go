package shelf_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"pkgedge/origin/kind/kindtest/shelf"
)

func TestContract(t *testing.T) {
	get := func(path string) kind.Request { return kind.Request{Method: http.MethodGet, Path: path} }
	sum := sha256.Sum256([]byte("x"))
	list := fmt.Appendf(nil, "%x one\n%x two\n", sum, sum)
	kindtest.Run(t, shelf.Descriptor(), kindtest.Samples{
		Things:   [][]kind.Request{{get("/emma")}, {get("/dracula")}, {get("/emma/one")}},
		Refused:  []kind.Request{get("/"), get("/a/b/c"), {Method: http.MethodPut, Path: "/emma"}},
		Metadata: []kindtest.Metadata{{Request: get("/emma"), Good: [][]byte{list}, Bad: [][]byte{list[:9], bytes.TrimSpace(list)}}},
		Files:    []kindtest.File{{Request: get("/emma/one"), List: list, Digest: kind.Digest{Algorithm: "sha256", Sum: sum[:]}, Unknown: get("/emma/three")}},
	})
}
