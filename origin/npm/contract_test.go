package npm_test

import (
	"encoding/hex"
	"net/http"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"pkgedge/origin/npm"
)

func TestContract(t *testing.T) {
	get := func(paths ...string) (requests []kind.Request) {
		for _, path := range paths {
			requests = append(requests, kind.Request{Method: http.MethodGet, Path: path})
		}
		return requests
	}
	const list = `{"name":"@s/n","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"@s/n","version":"1.0.0",
"dist":{"tarball":"https://m.example/@s/n/-/n-1.0.0.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}}}`
	sum, err := hex.DecodeString("da39a3ee5e6b4b0d3255bfef95601890afd80709")
	if err != nil {
		t.Fatal(err)
	}
	kindtest.Run(t, npm.Descriptor(), kindtest.Samples{
		Things: [][]kind.Request{
			get("/n", "/%6e"),
			get("/N"),
			get("/@s/n", "/@s%2fn", "/@s%2Fn", "/%40s%2fn", "/%40s/n"),
			get("/n/1.0.0", "/n/1%2e0.0"),
			get("/n/latest"),
			get("/@s/n/latest", "/@s%2fn/latest"),
			get("/n/-/n-1.0.0.tgz"),
			get("/@s/n/-/n-1.0.0.tgz", "/@s%2Fn/-/n-1.0.0.tgz"),
			get("/-/package/n/dist-tags"),
			get("/-/package/@s/n/dist-tags", "/-/package/@s%2fn/dist-tags"),
			get("/-/npm/v1/keys"),
			get("/-/npm/v1/attestations/n@1.0.0"),
			get("/-/npm/v1/attestations/@s/n@1.0.0", "/-/npm/v1/attestations/@s%2fn%401.0.0"),
		},
		Passed: []kind.Request{
			{Method: "PUT", Path: "/@s%2fn"},
			{Method: "GET", Path: "/n", Query: "write=true"},
			{Method: "GET", Path: "/-/whoami"},
			{Method: "GET", Path: "/-/v1/search", Query: "text=x"},
			{Method: "POST", Path: "/-/npm/v1/security/advisories/bulk"},
		},
		Refused: get("/..", "/n/%2e%2e", "/_users", "/node_modules", "/@s"),
		Metadata: []kindtest.Metadata{
			{
				Request: get("/@s%2fn")[0],
				Good:    [][]byte{[]byte(list), []byte(`{"_id":"@s/n","time":{"unpublished":{}}}`)},
				Bad:     [][]byte{[]byte(list[:len(list)-1]), []byte(list + "{}"), []byte(`{"error":"x"}`), []byte(`{"name":"n","versions":{}}`)},
			},
			{Request: get("/n/1.0.0")[0], Good: [][]byte{[]byte(`{"name":"n","versions":{}}`)}, Bad: [][]byte{[]byte(`"version not found: 1.0.0"`)}},
			{Request: get("/-/package/n/dist-tags")[0], Good: [][]byte{[]byte(`{"name":"n","versions":{}}`)}},
			{Request: get("/-/npm/v1/keys")[0], Good: [][]byte{[]byte(`{"keys":[]}`)}},
			{Request: get("/-/npm/v1/attestations/n@1.0.0")[0], Good: [][]byte{[]byte(`{"attestations":[]}`)}},
		},
		Files: []kindtest.File{{
			Request: get("/@s/n/-/n-1.0.0.tgz")[0],
			List:    []byte(list),
			Digest:  kind.Digest{Algorithm: "sha1", Sum: sum},
			Unknown: get("/@s/n/-/n-1.0.1.tgz")[0],
		}},
	})
}
