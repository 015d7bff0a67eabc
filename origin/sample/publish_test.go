package sample_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

// document is that of a publish: one version of made with its tarball.
func document(number string, packed []byte, edit func(dist, attachment map[string]any)) string {
	dist := map[string]any{
		"integrity": tarball.Integrity(packed), "shasum": tarball.Shasum(packed),
		"tarball": "http://edge.example/other/made/-/made-" + number + ".tgz",
	}
	attachment := map[string]any{
		"content_type": "application/octet-stream",
		"data":         base64.StdEncoding.EncodeToString(packed), "length": len(packed),
	}
	if edit != nil {
		edit(dist, attachment)
	}
	raw, err := json.Marshal(map[string]any{
		"_id": "made", "name": "made", "dist-tags": map[string]string{"latest": number}, "access": nil,
		"versions": map[string]any{number: map[string]any{
			"name": "made", "version": number, "dist": dist,
		}},
		"_attachments": map[string]any{"made-" + number + ".tgz": attachment},
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return string(raw)
}

func TestPublishChecksWhatItTakes(t *testing.T) {
	store := samples(t)
	_, s := serve(t, store)
	c := client(t)
	auth := "Authorization: Bearer " + store.Grant("maker")
	tarball := tarball.Noise("made", 1000)
	if got := send(t, c, "PUT", s.URL()+"/made", document("1.0.0", tarball, nil), auth); got.status != 201 {
		t.Fatalf("publish: %d %s", got.status, got.body)
	}
	if got := decode[packument](t, send(t, c, "GET", s.URL()+"/made", "").body); got.Versions["1.0.0"].Dist.Tarball != s.URL()+"/made/-/made-1.0.0.tgz" {
		t.Errorf("the tarball is at %s", got.Versions["1.0.0"].Dist.Tarball)
	}
	set := func(m map[string]any, key string, value any) { m[key] = value }
	for _, tc := range []struct {
		rule, path, body string
		status           int
	}{
		{"a version there is", "/made", document("1.0.0", tarball, nil), 403},
		{"another name than the path", "/other", document("2.0.0", tarball, nil), 400},
		{"a number that is no version", "/made", document("2", tarball, nil), 400},
		{"another integrity", "/made", document("2.0.0", tarball, func(d, _ map[string]any) { set(d, "integrity", "sha512-AA==") }), 400},
		{"another shasum", "/made", document("2.0.0", tarball, func(d, _ map[string]any) { set(d, "shasum", "00") }), 400},
		{"another length", "/made", document("2.0.0", tarball, func(_, a map[string]any) { set(a, "length", 999) }), 400},
		{"bytes that are not base64", "/made", document("2.0.0", tarball, func(_, a map[string]any) { set(a, "data", "?") }), 400},
		{"a tarball without a name", "/made", document("2.0.0", tarball, func(d, _ map[string]any) { set(d, "tarball", "/") }), 400},
		{"a version without a tarball", "/made", `{"name":"made","versions":{"2.0.0":{"dist":{"tarball":"a.tgz"}}}}`, 400},
		{"a tag to nowhere", "/made", `{"name":"made","dist-tags":{"next":"3.0.0"}}`, 400},
		{"an old revision", "/made", `{"name":"made","_rev":"1-0"}`, 409},
		{"an old revision in the path", "/made/-rev/1-0", `{"name":"made","versions":{}}`, 409},
		{"an edit of no package", "/none", `{"name":"none"}`, 404},
		{"no document", "/made", `[]`, 400},
	} {
		if got := send(t, c, "PUT", s.URL()+tc.path, tc.body, auth); got.status != tc.status {
			t.Errorf("%s: %d %s", tc.rule, got.status, got.body)
		}
	}
	for path, want := range map[string]int{
		"/made/-rev/1-0": 409, "/made/-/made-1.0.0.tgz/-rev/1-0": 409, "/none/-rev/1-0": 404,
		"/made/-/none.tgz/-rev/1-0": 404, "/made": 405,
	} {
		if got := send(t, c, "DELETE", s.URL()+path, "", auth); got.status != want {
			t.Errorf("DELETE %s: %d", path, got.status)
		}
	}
	if got := decode[packument](t, send(t, c, "GET", s.URL()+"/made", "").body); len(got.Versions) != 1 || got.Tags["latest"] != "1.0.0" {
		t.Errorf("after all that: %+v", got)
	}
}

func TestAStarIsKept(t *testing.T) {
	store := samples(t)
	_, s := serve(t, store)
	c := client(t)
	auth := "Authorization: Bearer " + store.Grant("fan")
	url := s.URL() + "/edge-sample-app"
	before := decode[packument](t, send(t, c, "GET", url+"?write=true", "").body)
	star := fmt.Sprintf(`{"_id":"edge-sample-app","_rev":%q,"users":{"fan":true}}`, before.Rev)
	if got := send(t, c, "PUT", url, star, auth); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	after := send(t, c, "GET", url+"?write=true", "")
	if !strings.Contains(string(after.body), `"users":{"fan":true}`) || after.header.Get("Cache-Control") != "no-store" || after.header.Get("Etag") != "" {
		t.Errorf("%v %s", after.header, after.body)
	}
	if decode[packument](t, after.body).Rev == before.Rev {
		t.Error("the revision did not move")
	}
}

func TestALoginIsKnownToEveryMaster(t *testing.T) {
	store := samples(t)
	_, a := serve(t, store)
	_, b := serve(t, store)
	c := client(t)
	const user = "/-/user/org.couchdb.user:maker"
	login := func(password string) reply {
		return send(t, c, "PUT", a.URL()+user, `{"name":"maker","password":"`+password+`"}`)
	}
	if got := send(t, c, "GET", a.URL()+user, ""); got.status != 404 {
		t.Errorf("a stranger: %d", got.status)
	}
	got := login("secret")
	token := decode[struct{ Token string }](t, got.body).Token
	if got.status != 201 || token == "" {
		t.Fatalf("login: %d %s", got.status, got.body)
	}
	if got := login("wrong"); got.status != 401 {
		t.Errorf("a wrong password: %d", got.status)
	}
	if again := decode[struct{ Token string }](t, login("secret").body).Token; again == token || again == "" {
		t.Errorf("the second token is %q", again)
	}
	if got := send(t, c, "PUT", a.URL()+user, `{"name":"other","password":"x"}`); got.status != 400 {
		t.Errorf("another name: %d", got.status)
	}
	auth := "Authorization: Bearer " + token
	if got := send(t, c, "GET", b.URL()+"/-/whoami", "", auth); string(got.body) != `{"username":"maker"}` {
		t.Errorf("whoami: %s", got.body)
	}
	if got := send(t, c, "DELETE", b.URL()+"/-/user/token/"+token, ""); got.status != 401 {
		t.Errorf("logout by a stranger: %d", got.status)
	}
	if got := send(t, c, "DELETE", b.URL()+"/-/user/token/"+token, "", auth); got.status != 200 {
		t.Errorf("logout: %d", got.status)
	}
	if got := send(t, c, "GET", a.URL()+"/-/whoami", "", auth); got.status != 401 {
		t.Errorf("whoami after logout: %d", got.status)
	}
}

func TestDistTagsAreReadWrittenAndRemoved(t *testing.T) {
	store := samples(t)
	_, s := serve(t, store)
	c := client(t)
	auth := "Authorization: Bearer " + store.Grant("maker")
	const words, private = "/-/package/edge-sample-words/dist-tags", "/-/package/@edge-private%2fnotes/dist-tags"
	for _, tc := range []struct {
		method, path, body, auth string
		status                   int
	}{
		{"PUT", words + "/old", `"1.0.0"`, auth, 200},
		{"PUT", words + "/none", `"7.0.0"`, auth, 400},
		{"PUT", words + "/1.0.0", `"1.0.0"`, auth, 400},
		{"PUT", words + "/bad", `{}`, auth, 400},
		{"PUT", words + "/mine", `"1.0.0"`, "Authorization: Bearer no", 401},
		{"PUT", words, `"1.0.0"`, auth, 405},
		{"POST", words + "/old", `"1.0.0"`, auth, 405},
		{"DELETE", words + "/next", "", auth, 200},
		{"GET", words + "/latest", "", auth, 404},
		{"GET", "/-/package/none/dist-tags", "", auth, 404},
		{"GET", "/-/package/edge-sample-words/other", "", auth, 404},
		{"GET", private, "", "Authorization: Bearer no", 401},
		{"GET", private, "", auth, 200},
	} {
		if got := send(t, c, tc.method, s.URL()+tc.path, tc.body, tc.auth); got.status != tc.status {
			t.Errorf("%s %s %s: %d %s", tc.method, tc.path, tc.body, got.status, got.body)
		}
	}
	if got := send(t, c, "GET", s.URL()+words, ""); string(got.body) != `{"latest":"1.1.0","old":"1.0.0"}` {
		t.Errorf("tags are %s", got.body)
	}
}

// FuzzPut puts any document onto a package: nothing panics, a refused document
// changes nothing, and an accepted one leaves a packument that can be read.
func FuzzPut(f *testing.F) {
	f.Add([]byte(document("1.0.0", []byte("tarball"), nil)))
	f.Add([]byte(`{"name":"made","dist-tags":null,"versions":null,"_attachments":null,"time":null}`))
	f.Add([]byte(`{"name":"made","_rev":"","versions":{"0.1.0":{}},"users":{}}`))
	f.Add([]byte(`{"name":"made","versions":{"0.1.0":{"dist":null}},"versions":{"0.1.0":null}}`))
	f.Add([]byte(`{"name":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		store := sample.NewStore()
		if err := store.AddPackage("made", sample.Version{Number: "0.1.0"}); err != nil {
			t.Fatal(err)
		}
		m := faults.NewMaster(store)
		auth := "Bearer " + store.Grant("maker")
		do := func(method, accept, body string) (int, []byte) {
			r := httptest.NewRequest(method, "http://registry.example/made", strings.NewReader(body))
			r.Header.Set("Authorization", auth)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			m.ServeHTTP(w, r)
			return w.Code, w.Body.Bytes()
		}
		_, before := do("GET", "", "")
		status, _ := do("PUT", "", string(body))
		code, after := do("GET", "", "")
		if code != 200 || !json.Valid(after) {
			t.Fatalf("%d %s", code, after)
		}
		if status != 201 && string(before) != string(after) {
			t.Fatalf("refused with %d, yet it is now %s", status, after)
		}
		_, short := do("GET", "application/vnd.npm.install-v1+json", "")
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(short, &doc); err != nil || len(doc) != 4 {
			t.Fatalf("%v: %s", err, short)
		}
	})
}
