package npm

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/npm/packument"
)

func private(scope string) bool { return scope == "@acme" }

func TestStripAudit(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"bulk":           {`{"lodash":["4.17.0"],"@acme/n":["1.0.0"],"@babel/core":["7.0.0", "7.0.1"]}`, `{"lodash":["4.17.0"],"@babel/core":["7.0.0","7.0.1"]}`},
		"bulk, first":    {`{"@acme/n":["1"],"a":["1"]}`, `{"a":["1"]}`},
		"bulk, all":      {`{"@acme/n":["1"],"@acme/m":["2"]}`, `{}`},
		"none":           {"{ \"a\" : [ \"1\" ]\n}", "{ \"a\" : [ \"1\" ]\n}"},
		"another case":   {`{"@ACME/n":["1"]}`, `{}`},
		"escaped":        {`{"\u0040acme\/n":["1"],"%40acme%2fm":["1"]}`, `{}`},
		"longer scopes":  {`{"@acme-/n":["1"],"@acme.x/n":["1"],"@acmes/n":["1"],"acme/n":["1"]}`, `{"@acme-/n":["1"],"@acme.x/n":["1"],"@acmes/n":["1"],"acme/n":["1"]}`},
		"words as names": {`{"name":["1"],"version":["1"],"requires":["1"],"@acme/n":[]}`, `{"name":["1"],"version":["1"],"requires":["1"]}`},
		"tree": {`{"name":"@acme/app","version":"1.0.0","requires":{"@acme/n":"^1","a":"^1"},"install":["a","@acme/n@1.0.0"],"remove":[],
"metadata":{"node_version":"v22"},"dev":{"@acme/x":true},"dependencies":{"@acme/n":{"version":"1.0.0","dependencies":{"b":{"version":"1.0.0"}}},
"a":{"version":"1.0.0","integrity":"sha512-a==","requires":{"@acme/n":"1","c":"*"},"dependencies":{"c":{"version":"2.0.0","dependencies":{"@acme/m":{"version":"1"}}}}}}}`,
			`{"name":"","version":"1.0.0","requires":{"a":"^1"},"install":["a"],"remove":[],"metadata":{"node_version":"v22"},"dev":{},
"dependencies":{"a":{"version":"1.0.0","integrity":"sha512-a==","requires":{"c":"*"},"dependencies":{"c":{"version":"2.0.0","dependencies":{}}}}}}`},
		"public project":        {`{"name":"@pub/app","requires":{"@acme/n":"1"}}`, `{"name":"@pub/app","requires":{}}`},
		"alias":                 {`{"requires":{"x":"npm:@acme/n@^1","y":"1"},"dependencies":{"x":{"version":"npm:@acme/n@1.0.0"},"y":{"version":"1.0.0"}}}`, `{"requires":{"y":"1"},"dependencies":{"y":{"version":"1.0.0"}}}`},
		"another registry":      {`{"dependencies":{"x":{"version":"1","resolved":"https://m.example/@acme%2fn/-/n-1.tgz"},"y":{"name":"@acme/y"},"z":{"from":"@acme/z@1"}}}`, `{"dependencies":{}}`},
		"a folder":              {`{"dependencies":{"packages__@acme__app":{"version":"1"},"packages__app":{"version":"1"}}}`, `{"dependencies":{"packages__app":{"version":"1"}}}`},
		"a package version":     {`{"dependencies":{"version":{"version":"npm:@acme/n@1"},"name":{"version":"1"}}}`, `{"dependencies":{"name":{"version":"1"}}}`},
		"numbers":               {`{"a":1.10e2,"b":"\u003c","@acme/n":1}`, `{"a":1.10e2,"b":"\u003c"}`},
		"array of objects":      {`{"a":[{"name":"@acme/n"},{"name":"x"}]}`, `{"a":[{"name":"x"}]}`},
		"project without scope": {`{"name":"acme","version":"@acme"}`, `{"name":"acme"}`},
	} {
		t.Run(name, func(t *testing.T) {
			before := tt.body
			got, err := StripAudit([]byte(tt.body), private)
			if err != nil || string(got) != strings.ReplaceAll(tt.want, "},\n", "},") && string(got) != tt.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, tt.want)
			}
			if before != tt.body {
				t.Error("the body has been changed")
			}
		})
	}
}

func TestAuditThatIsNotUnderstoodIsRefused(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, maxAuditDepth) + strings.Repeat(`]}`, maxAuditDepth)
	for _, body := range []string{``, `[]`, `"@acme/n"`, `null`, `{"a":["1"]`, `{"a":1}{}`, `{"a":1} x`, `{"a"}`, `{a:1}`, "\x1f\x8b", deep} {
		if got, err := StripAudit([]byte(body), private); err == nil || got != nil {
			t.Errorf("%.40q: %q, %v", body, got, err)
		}
	}
	for name, body := range map[string]string{
		"both":    deep,
		"objects": strings.Repeat(`{"a":`, maxAuditDepth+2) + "1" + strings.Repeat("}", maxAuditDepth+2),
		"arrays":  `{"a":` + strings.Repeat("[", maxAuditDepth+1) + strings.Repeat("]", maxAuditDepth+1) + "}",
	} {
		if _, err := StripAudit([]byte(body), private); !errors.Is(err, packument.ErrDocument) {
			t.Errorf("%s, too deep: %v", name, err)
		}
	}
}

// naiveStrip is StripAudit with maps.
func naiveStrip(v any, depth int) (left any, hidden bool) {
	mentions := func(s string) bool { return (&auditStrip{private: private}).mentions([]byte(s)) }
	switch v := v.(type) {
	case string:
		return v, mentions(v)
	case []any:
		kept := []any{}
		for _, e := range v {
			if l, hide := naiveStrip(e, depth+1); !hide {
				kept = append(kept, l)
			}
		}
		return kept, false
	case map[string]any:
		kept := map[string]any{}
		for key, e := range v {
			l, hide := naiveStrip(e, depth+1)
			_, isString := e.(string)
			switch {
			case mentions(key):
			case !hide:
				kept[key] = l
			case key == "name" && depth == 0 && isString:
				kept[key] = ""
			case isString && depth > 0 && (key == "name" || key == "version" || key == "from" || key == "resolved"):
				hidden = true
			}
		}
		return kept, hidden
	}
	return v, false
}

// No string that is sent mentions a private scope, and nothing else is lost.
func FuzzStripAudit(f *testing.F) {
	f.Add([]byte(`{"lodash":["4.17.0"],"@acme/n":["1.0.0"],"name":"@acme/x"}`))
	f.Add([]byte(`{"dependencies":{"x":{"version":"npm:@acme/n@1.0.0","b":[1,{"c":"%40acme/x"}]},"@acme/n":{}}}`))
	f.Add([]byte(`{"a":"\u0040acme","a":[[],["@acme@1"]]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		got, err := StripAudit(body, private)
		if !bytes.Equal(body, before) {
			t.Fatal("the body has been changed")
		}
		if err != nil {
			return
		}
		dec := jsontext.NewDecoder(bytes.NewReader(got), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		for {
			token, err := dec.ReadToken()
			if err != nil {
				break
			}
			if token.Kind() == jsontext.KindString && (&auditStrip{private: private}).mentions([]byte(token.String())) {
				t.Fatalf("%q is left of %s in %s", token.String(), body, got)
			}
		}
		if !jsontext.Value(body).IsValid() {
			return
		}
		var source, left any
		if err1, err2 := json.Unmarshal(body, &source), json.Unmarshal(got, &left); err1 != nil || err2 != nil {
			return // numbers that Go has no room for
		}
		if want, _ := naiveStrip(source, 0); !reflect.DeepEqual(left, want) {
			t.Fatalf("source %s\ngot    %s\nwant   %v", body, got, want)
		}
	})
}
