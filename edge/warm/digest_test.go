package warm

import (
	"errors"
	"strings"
	"testing"
)

// The digests of "abc", as FIPS 180 gives them.
const (
	abc512 = "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
	abc384 = "sha384-ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn"
	abc256 = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
	abc1   = "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0="
)

func TestOnlyTheStrongestHashCounts(t *testing.T) {
	xyz512 := sri512([]byte("xyz"))
	for _, tt := range []struct {
		integrity string
		want      error  // of the bytes "abc"
		says      string // of any other error
	}{
		{abc512, nil, ""},
		{abc384, nil, ""},
		{abc256, nil, ""},
		{abc1, nil, ""},
		{abc512 + "?option", nil, ""},
		{abc1 + " " + abc512, nil, ""},
		{xyz512 + " " + abc512, nil, ""},
		{"sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA= " + abc256, nil, ""},
		{abc1 + " " + xyz512, nil, "wrong bytes: " + abc512 + ", where it has " + xyz512},
		{"", errNoDigest, ""},
		{"sha512-AAAA", errNoDigest, ""},
		{"md5-kAFQmDzST7DWlj99KOF/cg==", errNoDigest, ""},
		{"sha512", errNoDigest, ""},
	} {
		var checks []digestCheck
		if digests := strongestDigests(tt.integrity); digests != nil {
			checks = append(checks, digestCheck{from: "it", oneOf: digests})
		}
		err := hashTarball(strings.NewReader("abc"), checks)
		if tt.says != "" {
			if err == nil || err.Error() != tt.says {
				t.Errorf("%q: %v; want %q", tt.integrity, err, tt.says)
			}
		} else if !errors.Is(err, tt.want) {
			t.Errorf("%q: %v; want %v", tt.integrity, err, tt.want)
		}
	}
}

func TestWhatAPackumentSaysOfATarball(t *testing.T) {
	recorded, plain := wantedVersion{version: "1.0.0", file: "recorded.tgz"}, wantedVersion{version: "1.0.0"}
	for _, tt := range []struct {
		name   string
		dist   dist
		wanted wantedVersion
		file   string
		digest string // "" for none
	}{
		{"its URL wins", dist{Tarball: "https://e.example/@s/a/-/A-01.tgz?x", Integrity: abc512, Shasum: "00"}, recorded, "A-01.tgz", abc512},
		{"nothing, and a lockfile does", dist{}, recorded, "recorded.tgz", ""},
		{"nothing", dist{}, plain, "a-1.0.0.tgz", ""},
		{"no URL", dist{Tarball: "%"}, plain, "a-1.0.0.tgz", ""},
		{"no file", dist{Tarball: "https://e.example/"}, plain, "a-1.0.0.tgz", ""},
		{"only a shasum", dist{Shasum: "a9993e364706816aba3e25717850c26c9cd0d89d"}, plain, "a-1.0.0.tgz", abc1},
		{"no shasum either", dist{Integrity: "?", Shasum: "a9993e"}, plain, "a-1.0.0.tgz", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.dist.file(tt.wanted, "@s/a"); got != tt.file {
				t.Errorf("the file is %q; want %q", got, tt.file)
			}
			digest := ""
			for _, c := range tt.dist.checks() {
				digest += c.oneOf[0].String()
			}
			if digest != tt.digest {
				t.Errorf("the digest is %q; want %q", digest, tt.digest)
			}
		})
	}
}
