package packument

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pkgedge/origin/kind"
)

const shasum = "da39a3ee5e6b4b0d3255bfef95601890afd80709"

// Every layout that is known: the name that clients are given is plain, and the summary has
// the place to the letter.
func TestLayouts(t *testing.T) {
	const r = "https://m.example"
	for _, tt := range []struct {
		name, version, url string
		file               string // that clients are given, "" where the URL stays
		place              string // "" where it is the usual one below base, "=" for the URL
		base               string
	}{
		{"n", "1.0.0", r + "/n/-/n-1.0.0.tgz", "n-1.0.0.tgz", "", r},
		{"@s/n", "1.0.0", r + "/@s/n/-/n-1.0.0.tgz", "n-1.0.0.tgz", "", r},
		{"@s/n", "1.0.0", "http://m.example:4873/repository/npm/@s/n/-/n-1.0.0.tgz", "n-1.0.0.tgz", "", "http://m.example:4873/repository/npm"},
		{"n", "1.0.0", "/n/-/n-1.0.0.tgz", "n-1.0.0.tgz", "", ""},
		{"n", "1.0.0", "//m.example/n/-/n-1.0.0.tgz", "n-1.0.0.tgz", "", "//m.example"},
		{"n", "1.0.0", r + "/n/-/n-1.0.0.tgz#sha1", "n-1.0.0.tgz", "", r},
		{"n", "1.0.0", r + "/n/-/N-01.0.tgz", "N-01.0.tgz", "", r}, // old names that are not canonical
		{"n", "1.0.0", r + "/n/-/n.tar.gz", "n.tar.gz", "", r},
		{"n", "1.0.0", r + "/n/-/n-1+b~!$&'()*,;=:@.tgz", "n-1+b~!$&'()*,;=:@.tgz", "", r},
		{"n", "1.0.0", `https:\u002f\u002fm.example\u002fn\/-\/n\u002d1.tgz`, "n-1.tgz", "", r},
		{"@s/n", "1.0.0", r + "/@s/n/-/@s%2fn-1.0.0.tgz", "@s%2fn-1.0.0.tgz", "", r},

		// In the usual place, and written otherwise than a request for it would be.
		{"n", "1.0.0", r + "/n/-/n%2b%C3%A9.tgz", "n%2b%C3%A9.tgz", r + "/n/-/n%2b%C3%A9.tgz", r},
		{"n", "1.0.0", r + "/n/-/n-1%2E0.0.tgz", "n-1%2E0.0.tgz", r + "/n/-/n-1%2E0.0.tgz", r},
		{"n", "1.0.0", r + "/n/-/é.tgz", "é.tgz", r + "/n/-/é.tgz", r},
		{"n", "1.0.0", r + `/n/-/\u00e9\"<.tgz`, `é\"<.tgz`, r + "/n/-/é\"<.tgz", r},
		{"@s/n", "1.0.0", r + "/@s/n/-/@s%2Fn-1.0.0.tgz", "@s%2Fn-1.0.0.tgz", r + "/@s/n/-/@s%2Fn-1.0.0.tgz", r},
		{"@s/n", "1.0.0", r + "/@s/n/-/%40s%2fn-1.0.0.tgz", "%40s%2fn-1.0.0.tgz", r + "/@s/n/-/%40s%2fn-1.0.0.tgz", r},

		// Elsewhere, under a name that tells the version.
		{"@s/n", "1.0.0", r + "/~/11/@s/n/1.0.0.tgz", "1.0.0.tgz", "=", ""},
		{"@s/n", "1.0.0", r + "/@s/n/-/@s/n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"@s/n", "1.0.0", r + "/@s%2fn/-/n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/-/1.0.0/n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/download/n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/download/n-1.0.0.tgz?cache=0", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/-/n-1.0.0.tgz?cache=0&sync_timestamp=1", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/-/n-1.0.0.tgz?a=/b/c#/d", "n-1.0.0.tgz", r + "/n/-/n-1.0.0.tgz?a=/b/c", ""},
		{"@s/n", "1.0.0", r + "/api/v4/projects/7/packages/npm/@s/n/-/@s/n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"@s/n", "1.0.0", "https://cdn.example/files/s-n-1.0.0.tgz", "s-n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0-rc.1+b", r + "/f/n-v1.0.0-rc.1+b.tar.gz", "n-v1.0.0-rc.1+b.tar.gz", "=", ""},
		{"n", "1.0.0", r + "/f/v1.0.0.tgz", "v1.0.0.tgz", "=", ""},
		{"n", "1.0.0", "/files/n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", "//cdn.example/n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},

		// Elsewhere, under any other name.
		{"@s/n", "1.0.0", r + "/download/@s/n/1.0.0/abc", "n-1.0.0.tgz", "=", ""},
		{"@s/n", "1.0.0", r + "/download/@s/n/1.0.0/2b4f0e", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/download/n/1.0.0/", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/1.0.0/package.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/get?name=n&version=1.0.0", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/?file=n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/-/?n-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/n-2.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/n-11.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/n-1.0.0.zip", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/n-1.0.0", "n-1.0.0.tgz", "=", ""},
		{"@s/n", "1.0.0", r + "/f/@s%2fn-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/n%2D1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0+b", r + "/f/n-1.0.0%2Bb.tgz", "n-1.0.0+b.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/%E2%82%AC-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/é-1.0.0.tgz", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/n/-/a%2fb", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/%2e%2e", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/a%5cb%00", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/f/a%252fb", "n-1.0.0.tgz", "=", ""},
		{"n", "1.0.0", r + "/" + strings.Repeat("x", MaxFile+1), "n-1.0.0.tgz", "=", ""},
		{"n", "1/0 é", r + "/f/abc", "n-ca3796903229cff1.tgz", "=", ""},
		{"n", strings.Repeat("1", MaxFile), r + "/f/abc", "n-dabdd72895a4cb28.tgz", "=", ""},

		// No URL, or none that leads anywhere.
		{"n", "1.0.0", "", "", "", ""}, {"n", "1.0.0", "n-1.0.0.tgz", "", "", ""}, {"n", "1.0.0", "./n-1.0.0.tgz", "", "", ""},
		{"n", "1.0.0", r, "", "", ""}, {"n", "1.0.0", r + "/", "", "", ""}, {"n", "1.0.0", r + "?a/b", "", "", ""},
		{"n", "1.0.0", "///n-1.0.0.tgz", "", "", ""}, {"n", "1.0.0", "https:///n-1.0.0.tgz", "", "", ""},
		{"n", "1.0.0", r + "/f/a%", "", "", ""}, {"n", "1.0.0", r + "/f/a%zz", "", "", ""}, {"n", "1.0.0", r + `/f/a\u0000`, "", "", ""},
		{"n", "1.0.0", "ftp://m.example/n-1.0.0.tgz", "", "", ""}, {"n", "1.0.0", "file:///n-1.0.0.tgz", "", "", ""}, {"n", "1.0.0", "git+https://m.example/n.git", "", "", ""},
		{"n", "1.0.0", r + "/" + strings.Repeat("x", maxPlace), "", "", ""},
	} {
		form := `{"name":"` + tt.name + `","versions":{"` + tt.version + `":{"dist":{"tarball":"%s","shasum":"` + shasum + `"}}}}`
		given := tt.url
		if tt.file != "" {
			given = testBase + "/" + tt.name + "/-/" + tt.file
		}
		got := prepare(t, tt.name, fmt.Sprintf(form, tt.url))
		if want := fmt.Sprintf(form, given); got[Full] != want {
			t.Errorf("%s@%.30s at %.99s: %.300s; want %.300s", tt.name, tt.version, tt.url, got[Full], want)
		}
		if !strings.Contains(got[Abbreviated], `"tarball":"`+given+`"`) {
			t.Errorf("%.99s: the abbreviated form is %.300s", tt.url, got[Abbreviated])
		}
		if tt.file == "" {
			continue
		}
		names := []string{tt.file}
		place := tt.place
		if place == "=" { // it may also be asked for by the usual name
			place = tt.url
			names = append(names, string(usualName(tt.name[strings.IndexByte(tt.name, '/')+1:], []byte(tt.version))))
		}
		for _, name := range names {
			if f := entry(t, tt.name, got, name); !f.Listed || f.Digest.Algorithm != "sha1" || string(f.Place) != place || string(f.Base) != tt.base {
				t.Errorf("%.99s: %s is %+v (place %q, base %q)", tt.url, name, f, f.Place, f.Base)
			}
		}
	}
	for _, value := range []string{`null`, `7`, `true`, `{"a":"https://m.example/n.tgz"}`, `["https://m.example/n.tgz"]`} {
		body := `{"name":"n","versions":{"1.0.0":{"dist":{"tarball":` + value + `}}}}`
		if got := prepare(t, "n", body); got[Full] != body {
			t.Errorf("%s: got %s", value, got[Full])
		}
	}
}

// entry is a tarball in a summary, by its name as it is in JSON and in a URL.
func entry(t *testing.T, name string, documents map[string]string, file string) File {
	t.Helper()
	w := rewriter{scope: "@s/"}
	decoded, _ := w.decoded([]byte(strings.ReplaceAll(file, `\"`, `"`)))
	f, ok := Find([]byte(documents[kind.Summary]), name, string(decoded))
	if !ok {
		t.Fatalf("no summary: %q", documents[kind.Summary])
	}
	return f
}

// given lists the tarball names that clients are given for URLs of versions 1.0.0, 2.0.0, ….
func given(t *testing.T, name string, urls ...string) (files []string, documents map[string]string) {
	t.Helper()
	var versions []string
	for i, url := range urls {
		versions = append(versions, fmt.Sprintf(`"%d.0.0":{"dist":{"tarball":"%s","shasum":"%040d"}}`, i+1, url, i+1))
	}
	documents = prepare(t, name, `{"name":"`+name+`","versions":{`+strings.Join(versions, ",")+`}}`)
	for part := range strings.SplitSeq(documents[Full], `"tarball":"`) {
		if file, ok := strings.CutPrefix(part, testBase+"/"+name+"/-/"); ok {
			file, _, _ = strings.Cut(file, `"`)
			files = append(files, file)
		}
	}
	return files, documents
}

// Two versions whose files have one name are given two.
func TestVersionsWithOneBasename(t *testing.T) {
	for _, urls := range [][]string{
		{"https://m.example/n/1.0.0/n.tgz", "https://m.example/n/2.0.0/n.tgz"},
		{"https://m.example/1.0.0/abc", "https://m.example/2.0.0/abc"},
		{"https://m.example/a/n-1.0.0.tgz", "https://m.example/b/n-1.0.0.tgz"},
		{"https://m.example/a/n-2.0.0.tgz", "https://m.example/b/n-2.0.0.tgz"},
		{"https://m.example/n/-/n.tgz?v=1", "https://m.example/n/-/n.tgz?v=2"},
		{"https://m.example/n/-/n.tgz", "https://cdn.example/n/-/n.tgz"},
		{"https://m.example/n/-/n.tgz", "https://m.example/2.0.0/n.tgz"},
		{"https://m.example/1/", "https://m.example/2/"},
		{"https://m.example/get?v=1", "https://m.example/get?v=2"},
	} {
		files, documents := given(t, "n", urls...)
		if len(files) != 2 || files[0] == files[1] {
			t.Errorf("%q: %q", urls, files)
			continue
		}
		for i, file := range files {
			f := entry(t, "n", documents, file)
			at := string(f.Place)
			if at == "" {
				at = string(f.Base) + "/n/-/" + file
			}
			if at != urls[i] || f.Digest.Algorithm == "" || int(f.Digest.Sum[19]) != i+1 {
				t.Errorf("%q: %s is at %s with %x", urls, file, at, f.Digest.Sum)
			}
		}
		for i, url := range urls { // neither another version nor the order changes a name
			if i > 0 && strings.HasSuffix(url, "/n/-/n.tgz") {
				continue // in the usual place names stay, and the first version has it
			}
			one := prepare(t, "n", fmt.Sprintf(`{"name":"n","versions":{"%d.0.0":{"dist":{"tarball":"%s"}}}}`, i+1, url))
			if !strings.Contains(one[Full], "/-/"+files[i]+`"`) {
				t.Errorf("%q: %q, and alone %s", urls, files[i], one[Full])
			}
		}
	}
	// Two versions of one file have one name.
	if files, _ := given(t, "n", "https://m.example/n/-/n.tgz", "https://m.example/n/-/n.tgz"); len(files) != 2 || files[0] != files[1] {
		t.Errorf("one file is %q", files)
	}
}

// Where tarballs are in the usual place, the summary has one line more for all of them.
func TestTheUsualPlaceCostsNothing(t *testing.T) {
	var urls []string
	for i := range 50 {
		scheme := "https"
		if i%2 == 0 {
			scheme = "http" // in an old packument
		}
		urls = append(urls, fmt.Sprintf("%s://m.example/npm/@s/n/-/n-%d.0.0.tgz", scheme, i+1))
	}
	_, documents := given(t, "@s/n", urls...)
	lines := slices.Collect(strings.Lines(documents[kind.Summary]))
	count := func(prefix string) (n int) {
		for _, line := range lines {
			if strings.HasPrefix(line, prefix) {
				n++
			}
		}
		return n
	}
	if count("base\t") != 1 || count("place/") != 0 || count("alias/") != 0 || count("file/") != len(urls) {
		t.Errorf("%q", documents[kind.Summary])
	}
}
