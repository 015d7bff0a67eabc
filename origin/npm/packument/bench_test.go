package packument

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"pkgedge/origin/kind"
)

// synthetic makes a packument of about a size, with the shape of a big real one.
func synthetic(name string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"_id":%q,"_rev":"1-a","name":%[1]q,"dist-tags":{"latest":"1.0.0"},"versions":{`, name)
	readme := strings.Repeat(`# Title\n\nSome \"text\" with <tags> and [links](https://m.example/n).\n`, 100)
	for i := 0; b.Len() < size*9/10; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		v := fmt.Sprintf("%d.%d.%d", i/400, i/20%20, i%20)
		fmt.Fprintf(&b, `%[1]q:{"name":%[2]q,"version":%[1]q,"description":"A synthetic package with a description of common length","main":"index.js",`+
			`"scripts":{"test":"mocha","build":"tsc -p . && rollup -c","lint":"eslint ."%[3]s},"repository":{"type":"git","url":"git+https://g.example/o/r.git"},`+
			`"keywords":["a","b","synthetic"],"author":{"name":"Some Body","email":"some@body.example"},"license":"MIT","bugs":{"url":"https://g.example/o/r/issues"},`+
			`"homepage":"https://g.example/o/r#readme","dependencies":{"left-pad":"^1.3.0","@scope/some-dependency":"~2.4.1","third":">=1.0.0 <3"},`+
			`"devDependencies":{"mocha":"^10.0.0","typescript":"^5.4.2","rollup":"^4.0.0","eslint":"^9.0.0"},"engines":{"node":">=18"},"gitHead":"0123456789abcdef0123456789abcdef01234567",`+
			`"_id":"%[2]s@%[1]s","_nodeVersion":"20.11.1","_npmVersion":"10.2.4",`+
			`"dist":{"integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709",`+
			`"tarball":"https://m.example/%[2]s/-/%[2]s-%[1]s.tgz","fileCount":12,"unpackedSize":123456,"signatures":[{"keyid":"SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA","sig":"MEUCIQDx0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg=="}]},`+
			`"_npmUser":{"name":"somebody","email":"some@body.example"},"directories":{},"maintainers":[{"name":"somebody","email":"some@body.example"}],`+
			`"_npmOperationalInternal":{"host":"s3://x","tmp":"tmp/n_1.0.0_1700000000000_0.123456789"},"_hasShrinkwrap":false%[4]s}`,
			v, name, []string{"", `,"postinstall":"node x"`}[i%5/4], []string{"", `,"deprecated":"use 2"`}[i%7/6])
	}
	b.WriteString(`},"time":{"created":"2020-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z"`)
	for i := 0; b.Len() < size-len(readme)-200; i++ {
		fmt.Fprintf(&b, `,"%d.%d.%d":"2022-01-01T00:00:00.000Z"`, i/400, i/20%20, i%20)
	}
	fmt.Fprintf(&b, `},"maintainers":[],"readme":"%s","readmeFilename":"README.md"}`, readme)
	return b.Bytes()
}

func BenchmarkPrepare(b *testing.B) {
	for _, megabytes := range []int{1, 10, 40} {
		body := synthetic("n", megabytes<<20)
		b.Run(fmt.Sprintf("%dMB", megabytes), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := made("n", kind.Source{Body: body}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The cost of streaming a document after it has been prepared.
func BenchmarkWriteTo(b *testing.B) {
	documents, err := made("n", kind.Source{Body: synthetic("n", 10<<20)})
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range documents {
		b.Run(d.Variant, func(b *testing.B) {
			b.SetBytes(d.Size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Body.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
