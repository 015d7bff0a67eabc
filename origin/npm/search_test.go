package npm

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestFilterSearch(t *testing.T) {
	withheld := newKind(testBase).with(Policy{Deny: []string{"bad", "@evil/*"}}).policy.denies
	const first, evil, bad, last = `{"package":{"name":"a","version":"1.0.0"},"score":{"final":1.50}}`, `{"package":{"name":"@evil/x"}}`,
		`{"score":1,"package":{"version":"1","name":"b\u0061d"}}`, `{"package":{"name":"bad2"}}`
	for name, tt := range map[string]struct{ body, want string }{
		"none":       {`{"objects":[ ` + first + ` , ` + last + `], "total":2}`, `{"objects":[ ` + first + ` , ` + last + `], "total":2}`},
		"some":       {`{"objects":[` + bad + `, ` + first + `,` + evil + ` ,` + last + `], "total":4,"time":"x"}`, `{"objects":[` + first + `,` + last + `], "total":4,"time":"x"}`},
		"all":        {`{"total":2,"objects":[` + bad + `,` + evil + `]}`, `{"total":2,"objects":[]}`},
		"empty":      {`{"objects":[],"total":0}`, `{"objects":[],"total":0}`},
		"odd":        {`{"objects":[1,null,"bad",[],{},{"package":"bad"},{"package":{"name":7}}]}`, `{"objects":[1,null,"bad",[],{},{"package":"bad"},{"package":{"name":7}}]}`},
		"twice":      {`{"objects":[{"package":{"name":"bad","name":"a"}}],"objects":[{"package":{"name":"a"},"package":{"name":"bad"}},1]}`, `{"objects":[],"objects":[1]}`},
		"no objects": {`{"objects":{"bad":1},"message":"x"}`, `{"objects":{"bad":1},"message":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FilterSearch([]byte(tt.body), withheld)
			if err != nil || string(got) != tt.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, tt.want)
			}
		})
	}
	for _, body := range []string{``, `[]`, `{"objects":[`, `{"objects":[{]}`, `{}x`, `<html>`} {
		if got, err := FilterSearch([]byte(body), withheld); err == nil || got != nil {
			t.Errorf("%q: %q, %v", body, got, err)
		}
	}
}

func TestDeniedNames(t *testing.T) {
	k := newKind(testBase).with(Policy{Deny: []string{"bad", "@evil/*", "@s/n", "m@1.0.0"}})
	for name, want := range map[string]bool{"bad": true, "@evil/x": true, "@s/n": true, "m": false, "@s/m": false, "evil": false, "@evil": false, "": false} {
		if got := k.policy.denies(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	if newKind(testBase).policy.denies("bad") {
		t.Error("denied without a policy")
	}
}

// The filtered results are those that maps give.
func FuzzFilterSearch(f *testing.F) {
	f.Add([]byte(`{"objects":[{"package":{"name":"bad"}},{"package":{"name":"a"}},1],"total":3}`))
	f.Add([]byte(`{"objects":[{"package":{"name":"\u0062ad"}}, {"package":{"name":"bad","x":[{}]}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		got, err := FilterSearch(body, func(name string) bool { return name == "bad" })
		if !bytes.Equal(body, before) {
			t.Fatal("the body has been changed")
		}
		var source, left map[string]any
		if err != nil || !jsontext.Value(body).IsValid() || json.Unmarshal(body, &source) != nil {
			return
		}
		if err := json.Unmarshal(got, &left); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if objects, ok := source["objects"].([]any); ok {
			kept := []any{}
			for _, o := range objects {
				element, _ := o.(map[string]any)
				about, _ := element["package"].(map[string]any)
				if about["name"] != "bad" {
					kept = append(kept, o)
				}
			}
			source["objects"] = kept
		}
		if !reflect.DeepEqual(left, source) {
			t.Fatalf("source %s\ngot    %s", body, got)
		}
	})
}
