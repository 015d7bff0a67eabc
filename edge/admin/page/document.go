package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"pkgedge/edge/conditional"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
	//go:embed uplot/uPlot.iife.min.js
	uplotJS string
	//go:embed uplot/uPlot.min.css
	uplotCSS string
	//go:embed uplot/LICENSE
	uplotLicence string
)

// Document answers with the page. The zero Document is ready.
type Document struct {
	made       sync.Once
	text       []byte
	compressed []byte
	tag        string
	policy     string
}

// assemble puts the document together, at the first request for it.
func (d *Document) assemble() {
	var policy strings.Builder
	policy.WriteString("default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	inline := func(element string, texts ...string) string {
		policy.WriteString("; " + element + "-src")
		var b strings.Builder
		for _, text := range texts {
			sum := sha256.Sum256([]byte(text))
			policy.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
			b.WriteString("<" + element + ">" + text + "</" + element + ">\n")
		}
		return b.String()
	}
	text := strings.NewReplacer(
		"<!-- styles -->\n", inline("style", uplotCSS, pageCSS),
		"<!-- scripts -->\n", inline("script", "/* uPlot\n"+uplotLicence+"*/\n"+uplotJS, pageJS),
	).Replace(pageHTML)
	sum := sha256.Sum256([]byte(text))
	d.text, d.policy, d.tag = []byte(text), policy.String(), base64.RawURLEncoding.EncodeToString(sum[:12])
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
	_, _ = w.Write(d.text)                                // a Buffer takes all
	_ = w.Close()
	d.compressed = b.Bytes()
}

// ServeHTTP implements http.Handler.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.made.Do(d.assemble)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", d.policy)
	h.Set("Cache-Control", "no-cache")
	h.Add("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	body, tag := d.text, `"`+d.tag+`"`
	if conditional.AcceptedCodings(r.Header["Accept-Encoding"]).Gzip {
		body, tag = d.compressed, `"`+d.tag+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Etag", tag)
	if r.Header.Get("If-None-Match") == tag {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error is the browser's
	}
}
