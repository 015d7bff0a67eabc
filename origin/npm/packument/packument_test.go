package packument

import (
	"strings"
	"testing"
	"time"

	"pkgedge/origin/kind"
)

func TestFullDiffersOnlyInTarballs(t *testing.T) {
	const body = `{ "_id":"@s/n","name":"@s/n", "readme":"see https:\/\/m.example/@s/n/-/n-1.0.0.tgz é",
 "dist":{"tarball":"https://m.example/x/-/top.tgz"},
 "versions": {
  "1.0.0" : {"tarball":"https://m.example/a/b.tgz","x":{"dist":{"tarball":"https://m.example/a/b.tgz"}},
    "dist":{"tarball" : "https://m.example/@s/n/-/n-1.0.0.tgz","deep":{"tarball":"https://m.example/a/b.tgz"}}},
  "1.0.1":{"dist":{"tarball":"https://m.example/@s/n/-/n-1.0.1.tgz#c/d"}},
  "1.0.2":{"dist":{"tarball":"https:\/\/m.example\/@s\/n\/-\/n-1.0.2.tgz"}},
  "1.0.3":{"d\u0069st":{"t\u0061rball":"https://m.example/@s/n/-/n%2B1%20.tgz"}}
 } , "time":{} }
`
	want := strings.NewReplacer(
		`"tarball" : "https://m.example/@s/n/-/n-1.0.0.tgz"`, `"tarball" : "`+testBase+`/@s/n/-/n-1.0.0.tgz"`,
		`https://m.example/@s/n/-/n-1.0.1.tgz#c/d`, testBase+`/@s/n/-/n-1.0.1.tgz`,
		`https:\/\/m.example\/@s\/n\/-\/n-1.0.2.tgz`, testBase+`/@s/n/-/n-1.0.2.tgz`,
		`https://m.example/@s/n/-/n%2B1%20.tgz`, testBase+`/@s/n/-/n%2B1%20.tgz`,
	).Replace(body)
	if got := prepare(t, "@s/n", body)[Full]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAbbreviatedText(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{
			"only the known members stay, as they are written",
			`{"_id":"n","_rev":"1","name":"n","description":"d","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"n","version":"1.0.0","description":"d","main":"m","dependencies":{"b":"<2", "a" :"1"},"gitHead":"x","dist":{"shasum":"x","tarball":"http://m.example/n/-/n-1.0.0.tgz","signatures":[{"keyid":"k","sig":"s"}]},"_npmUser":{"name":"u"}}},"readme":"r","time":{"created":"c","modified":"m"}}`,
			`{"name":"n","versions":{"1.0.0":{"name":"n","version":"1.0.0","dependencies":{"b":"<2", "a" :"1"},"dist":{"shasum":"x","tarball":"` + testBase + `/n/-/n-1.0.0.tgz","signatures":[{"keyid":"k","sig":"s"}]}}},"dist-tags":{"latest":"1.0.0"},"modified":"m"}`,
		},
		{
			"a fully unpublished packument has no versions",
			`{"_id":"n","name":"n","time":{"modified":"m","unpublished":{"time":"t"}}}`,
			`{"name":"n","versions":{},"dist-tags":{},"modified":"m"}`,
		},
		{
			"the name is taken from _id, and time.modified from modified",
			`{"_id":"n","versions":{},"modified":"2020","time":{"created":"c"}}`,
			`{"name":"n","versions":{},"dist-tags":{},"modified":"2020"}`,
		},
		{
			"time.modified wins over modified",
			`{"name":"n","time":{"modified":"t"},"modified":"m","versions":{}}`,
			`{"name":"n","versions":{},"dist-tags":{},"modified":"t"}`,
		},
		{
			"what is no date is left out",
			`{"name":"n","time":[1],"modified":7,"versions":{}}`,
			`{"name":"n","versions":{},"dist-tags":{}}`,
		},
		{
			"an install script is derived, with nothing else in the version too",
			`{"name":"n","versions":{"1":{"scripts":{"install":"x"}},"2":{"version":"2","scripts":{"test":"x","postinstall":"y"}},"3":{"scripts":{"preinstall":"x"},"version":"3"}}}`,
			`{"name":"n","versions":{"1":{"hasInstallScript":true},"2":{"version":"2","hasInstallScript":true},"3":{"version":"3","hasInstallScript":true}},"dist-tags":{}}`,
		},
		{
			"scripts that do not run on install, or are no scripts",
			`{"name":"n","versions":{"1":{"scripts":{"test":"install","prepare":"x","install":""}},"2":{"scripts":"install"},"3":{"scripts":["install"]},"4":{"scripts":null},"5":{"scripts":{"install":null}},"6":{"hasInstallScript":false}}}`,
			`{"name":"n","versions":{"1":{},"2":{},"3":{},"4":{},"5":{},"6":{}},"dist-tags":{}}`,
		},
		{
			"an install script cannot be denied",
			`{"name":"n","versions":{"1":{"hasInstallScript":false,"scripts":{"install":"x"}}}}`,
			`{"name":"n","versions":{"1":{"hasInstallScript":true}},"dist-tags":{}}`,
		},
		{
			"deprecated stays where JavaScript takes it for true",
			`{"name":"n","versions":{"1":{"deprecated":"old"},"2":{"deprecated":""},"3":{"deprecated":false},"4":{"deprecated":true},"5":{"deprecated":null},"6":{"deprecated":"a","deprecated":""},"7":{"deprecated":"","deprecated":"b","os":[]},"8":{"deprecated":"a","deprecated":"b"}}}`,
			`{"name":"n","versions":{"1":{"deprecated":"old"},"2":{},"3":{},"4":{"deprecated":true},"5":{},"6":{},"7":{"deprecated":"b","os":[]},"8":{"deprecated":"b"}},"dist-tags":{}}`,
		},
		{
			"deprecated of every other sort",
			`{"name":"n","versions":{"1":{"deprecated":1},"2":{"deprecated":0},"3":{"deprecated":-0.0e9},"4":{"deprecated":{}},"5":{"deprecated":[]},"6":{"deprecated":{"message":"m"}},"7":{"deprecated":" "},"8":{"deprecated":"false"},"9":{"deprecated":true,"deprecated":false},"10":{"os":[],"deprecated" : true,"cpu":[]},"11":{"deprecated":1e999}}}`,
			`{"name":"n","versions":{"1":{"deprecated":1},"2":{},"3":{},"4":{"deprecated":{}},"5":{"deprecated":[]},"6":{"deprecated":{"message":"m"}},"7":{"deprecated":" "},"8":{"deprecated":"false"},"9":{},"10":{"os":[],"deprecated" : true,"cpu":[]},"11":{"deprecated":1e999}},"dist-tags":{}}`,
		},
		{
			"libc, both spellings of bundled dependencies and _hasShrinkwrap are copied",
			`{"name":"n","versions":{"1":{"libc":["glibc"],"bundledDependencies":true,"bundleDependencies":["x"],"_hasShrinkwrap":false}}}`,
			`{"name":"n","versions":{"1":{"libc":["glibc"],"bundledDependencies":true,"bundleDependencies":["x"],"_hasShrinkwrap":false}},"dist-tags":{}}`,
		},
		{
			"old shapes stay: engines as a list, dependencies as objects, bin as text, versions that are none",
			`{"name":"n","versions":{"1":{"engines":["node >= 0.4"],"dependencies":{"a":{"version":"1"}},"bin":"x","dist":null,"directories":{}},"2":null,"3":[{"dist":{}}]}}`,
			`{"name":"n","versions":{"1":{"engines":["node >= 0.4"],"dependencies":{"a":{"version":"1"}},"bin":"x","dist":null,"directories":{}},"2":null,"3":[{"dist":{}}]},"dist-tags":{}}`,
		},
		{
			"nothing is escaped or unescaped",
			"{\"name\":\"n\",\"versions\":{\"1<\\u0026>\":{\"\\u006eame\":\"<&>\\u2028\\/\",\"engines\":{\"n\":1e400,\"x\":\"\xff\"}}}}",
			"{\"name\":\"n\",\"versions\":{\"1<\\u0026>\":{\"\\u006eame\":\"<&>\\u2028\\/\",\"engines\":{\"n\":1e400,\"x\":\"\xff\"}}},\"dist-tags\":{}}",
		},
		{
			"of two members of one name the last counts",
			`{"name":"x","versions":{"1":{"os":[]}},"dist-tags":{"a":"1"},"versions":{"2":{"os":[]}},"dist-tags":{"b":"2"},"name":"n"}`,
			`{"name":"n","versions":{"2":{"os":[]}},"dist-tags":{"b":"2"}}`,
		},
		{
			"of two times the last counts",
			`{"name":"n","time":{"modified":"a","unpublished":{}},"versions":{},"time":{"created":"c"}}`,
			`{"name":"n","versions":{},"dist-tags":{}}`,
		},
		{
			"white space around what is left out does no harm",
			"{\n\t\"name\" : \"n\" ,\n \"versions\" : {\n \"1\" : { \"x\" : 1 , \"os\" : [ ] , \"y\" : 2 , \"cpu\" : 3 } \n}\n}\n",
			"{\"name\":\"n\",\"versions\":{\"1\" : {\"os\" : [ ] , \"cpu\" : 3}},\"dist-tags\":{}}",
		},
		{
			"an abbreviated document stays one",
			`{"name":"n","dist-tags":{"latest":"1"},"versions":{"1":{"name":"n","version":"1","hasInstallScript":true,"dist":{"tarball":"/x/n-1.tgz"}}},"modified":"m"}`,
			`{"name":"n","versions":{"1":{"name":"n","version":"1","dist":{"tarball":"` + testBase + `/n/-/n-1.tgz"},"hasInstallScript":true}},"dist-tags":{"latest":"1"},"modified":"m"}`,
		},
	}
	for _, test := range tests {
		if got := prepare(t, "n", test.body)[Abbreviated]; got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

// A packument that is odd is the master's answer all the same.
func TestOddPackuments(t *testing.T) {
	for _, odd := range []struct{ members, short string }{
		{`"versions":[]`, `"versions":{},"dist-tags":{}`},
		{`"versions":{}`, `"versions":{},"dist-tags":{}`},
		{`"versions":null`, `"versions":{},"dist-tags":{}`},
		{`"versions":""`, `"versions":{},"dist-tags":{}`},
		{`"versions":7,"error":"x"`, `"versions":{},"dist-tags":{}`},
		{`"versions":[{"version":"1.0.0"}]`, `"versions":{},"dist-tags":{}`},
		{`"versions":{"1.0.0":{"os":[]}},"versions":[]`, `"versions":{},"dist-tags":{}`},
		{`"versions":[],"versions":{"1.0.0":{"os":[]}}`, `"versions":{"1.0.0":{"os":[]}},"dist-tags":{}`},
		{`"x":1`, `"versions":{},"dist-tags":{}`},
		{`"time":{}`, `"versions":{},"dist-tags":{}`},
		{`"time":{"modified":"m","unpublished":null}`, `"versions":{},"dist-tags":{},"modified":"m"`},
		{`"time":{"unpublished":{}},"time":{}`, `"versions":{},"dist-tags":{}`},
		{`"time":null,"versions":{"1.0.0":{}}`, `"versions":{"1.0.0":{}},"dist-tags":{}`},
		{`"time":[],"versions":{"1.0.0":{}}`, `"versions":{"1.0.0":{}},"dist-tags":{}`},
		{`"time":{"1.0.0":7,"modified":{}},"versions":{"1.0.0":{}}`, `"versions":{"1.0.0":{}},"dist-tags":{}`},
		{`"versions":{"1.0.0":{}},"dist-tags":null`, `"versions":{"1.0.0":{}},"dist-tags":{}`},
		{`"versions":{"1.0.0":{}},"dist-tags":[]`, `"versions":{"1.0.0":{}},"dist-tags":{}`},
		{`"versions":{"1.0.0":{}},"dist-tags":"latest"`, `"versions":{"1.0.0":{}},"dist-tags":{}`},
		{`"versions":{"1.0.0":{}},"dist-tags":{"latest":null,"x":7,"y":{"z":1},"w":"9.9.9"}`, `"versions":{"1.0.0":{}},"dist-tags":{"latest":null,"x":7,"y":{"z":1},"w":"9.9.9"}`},
	} {
		body := `{"name":"n",` + odd.members + `}`
		for _, p := range []string{body, strings.Replace(body, `"name"`, `"_id"`, 1)} {
			got := prepare(t, "n", p)
			if got[Full] != p {
				t.Errorf("%s: the full form is %s", p, got[Full])
			}
			if want := `{"name":"n",` + odd.short + `}`; got[Abbreviated] != want {
				t.Errorf("%s: got %s, want %s", p, got[Abbreviated], want)
			}
			withheld := func(string, time.Time) (string, time.Time) { return "all of them", time.Time{} }
			if _, err := Make("n", kind.Source{Body: []byte(p)}, Options{Withheld: withheld}); err != nil {
				t.Errorf("%s: under a policy: %v", p, err)
			}
		}
	}
}
