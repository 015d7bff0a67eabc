package faults

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"time"
)

// Packument makes a full packument with that many versions, as a big package
// has them: some 1 kB each, a readme last, and its tarballs, which do not
// exist, at https://registry.example. The same arguments give the same bytes.
// Serve it with [sample.Store.AddPackument], or as it is with [sample.Store.AddFile].
func Packument(name string, versions int) []byte {
	var doc, times bytes.Buffer
	fmt.Fprintf(&doc, `{"_id":%q,"_rev":"1-0","name":%q,"dist-tags":{"latest":"1.0.%d"},"versions":{`, name, name, max(versions-1, 0))
	fmt.Fprintf(&times, `"created":%q,"modified":%q`, stamp(begun), stamp(begun.AddDate(0, 0, versions)))
	base := name[bytes.LastIndexByte([]byte(name), '/')+1:]
	for i := range versions {
		number := fmt.Sprintf("1.0.%d", i)
		if i > 0 {
			doc.WriteByte(',')
		}
		sum := sha512.Sum512([]byte(name + "@" + number))
		fmt.Fprintf(&doc, `%q:{"name":%q,"version":%q,"description":"Version %d of a package that has many.",`+
			`"license":"MIT","main":"index.js","scripts":{"test":"node --test","build":"node build.js --all"},`+
			`"repository":{"type":"git","url":"git+https://source.example/%s.git"},`+
			`"dependencies":{"edge-sample-words":"^1.0.0","@edge-sample/colour":"^1.%d.0"},`+
			`"devDependencies":{"edge-sample-greet":"^1.0.0"},"engines":{"node":">=18"},`+
			`"_id":"%s@%s","_npmUser":{"name":"sample","email":"sample@registry.example"},`+
			`"dist":{"integrity":"sha512-%s","shasum":"%x","tarball":"https://registry.example/%s/-/%s-%s.tgz",`+
			`"fileCount":3,"unpackedSize":%d,"signatures":[{"keyid":"SHA256:%x","sig":"%s"}]},`+
			`"_hasShrinkwrap":false}`,
			number, name, number, i, name, i%7, name, number,
			base64.StdEncoding.EncodeToString(sum[:]), sum[:20], name, base, number,
			1000+i, sum[:16], base64.StdEncoding.EncodeToString(sum[:48]))
		fmt.Fprintf(&times, `,%q:%q`, number, stamp(begun.AddDate(0, 0, i)))
	}
	fmt.Fprintf(&doc, `},"time":{%s},"readme":%q}`, times.Bytes(),
		"See https://registry.example/"+name+"/-/"+base+"-1.0.0.tgz")
	return doc.Bytes()
}

// begun is when the first version of such a packument was published.
var begun = time.Date(2024, time.March, 1, 12, 0, 0, 0, time.UTC)

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
