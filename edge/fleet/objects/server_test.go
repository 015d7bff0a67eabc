package objects

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	accessKey = "the key"
	secretKey = "the secret"
)

// bucket is a small S3 server of one bucket, which verifies signatures and sums. fault, when
// set, goes wrong before or behind a request that is right, and says whether it has answered.
type bucket struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	objects map[string]object
	calls   []string // "PUT cas/…"
	fault   func(w http.ResponseWriter, r *http.Request, serve func()) bool
}

type object struct {
	about, kind string
	body        []byte
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{t: t, objects: make(map[string]object)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(func() {
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if why := wrongSignature(r, body); why != "" {
		b.t.Errorf("%s %s: %s", r.Method, r.URL, why)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	key, ok := strings.CutPrefix(r.URL.Path, "/bucket/some/prefix/")
	if !ok && r.URL.Path == "/bucket/" && r.URL.Query().Get("list-type") == "2" {
		key, ok = "", true
	}
	if !ok {
		b.t.Errorf("%s %s: another bucket", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	b.mu.Lock()
	b.calls = append(b.calls, r.Method+" "+key)
	fault := b.fault
	b.mu.Unlock()
	serve := func() { b.serve(w, r, key, body) }
	if fault == nil || !fault(w, r, serve) {
		serve()
	}
}

func (b *bucket) serve(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch o, has := b.objects[key]; {
	case r.Method == http.MethodPut:
		b.objects[key] = object{r.Header.Get(aboutField), r.Header.Get("Content-Type"), body}
	case key == "":
		b.list(w, r.URL.Query().Get("prefix"))
	case r.Method == http.MethodDelete:
		delete(b.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case !has:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set(aboutField, o.about)
		w.Header().Set("Content-Type", o.kind)
		w.Write(o.body)
	}
}

func (b *bucket) set(fault func(w http.ResponseWriter, r *http.Request, serve func()) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// count is how many calls of a method there were.
func (b *bucket) count(method string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		if strings.HasPrefix(c, method+" ") {
			n++
		}
	}
	return n
}

func (b *bucket) store(t *testing.T) *Store {
	t.Helper()
	u, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Bucket: "bucket", Prefix: "/some/prefix", Endpoint: u, Region: "here", Key: accessKey, Secret: secretKey})
	t.Cleanup(s.Close)
	return s
}

// wrongSignature verifies a signature of version 4 by the book, and says how it is wrong.
func wrongSignature(r *http.Request, body []byte) string {
	sum := hash(body)
	if got := r.Header.Get("X-Amz-Content-Sha256"); got != sum {
		return "the sum is " + got + "; want " + sum
	}
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	parts := make(map[string]string)
	for part := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	key, scope, _ := strings.Cut(parts["Credential"], "/")
	if !ok || key != accessKey {
		return "the key is " + key
	}
	at := r.Header.Get("X-Amz-Date")
	if want := at[:min(8, len(at))] + "/here/s3/aws4_request"; scope != want {
		return "the scope is " + scope + "; want " + want
	}
	signed := strings.Split(parts["SignedHeaders"], ";")
	for _, name := range []string{"host", "x-amz-date", "x-amz-content-sha256"} {
		if !slices.Contains(signed, name) {
			return name + " is not signed"
		}
	}
	if r.Header.Get(aboutField) != "" && !slices.Contains(signed, strings.ToLower(aboutField)) {
		return "the fields are not signed"
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.Query().Encode() + "\n"
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
		}
		canonical += name + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical += "\n" + parts["SignedHeaders"] + "\n" + sum
	sign := []byte("AWS4" + secretKey)
	for _, part := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+at+"\n"+scope+"\n"+hash([]byte(canonical))) {
		m := hmac.New(sha256.New, sign)
		m.Write([]byte(part))
		sign = m.Sum(nil)
	}
	if hex.EncodeToString(sign) != parts["Signature"] {
		return "the signature is wrong"
	}
	return ""
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// list lists objects, one at a time. b.mu is held.
func (b *bucket) list(w http.ResponseWriter, prefix string) {
	var found []string
	for key := range b.objects {
		if strings.HasPrefix("some/prefix/"+key, prefix) {
			found = append(found, "some/prefix/"+key)
		}
	}
	slices.Sort(found)
	io.WriteString(w, `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	if len(found) > 0 {
		io.WriteString(w, "<Contents><Key>"+found[0]+"</Key><Size>0</Size></Contents>")
	}
	fmt.Fprintf(w, "<IsTruncated>%v</IsTruncated></ListBucketResult>", len(found) > 1)
}
