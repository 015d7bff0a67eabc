package welcome

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"pkgedge/origin/kind"
)

//go:embed welcome.html
var pageHTML string

//go:embed welcome.css
var pageCSS string

// Site is a site as its clients see it.
type Site struct {
	Name    string // in the configuration; not shown
	URL     string
	Clients []kind.Client
}

// Pages are those of one configuration. They are immutable.
type Pages struct {
	page    *template.Template
	policy  string
	contact template.URL
	sites   []Site
}

// New returns the pages of sites. The contact is a URL, "" for none.
func New(contact string, sites []Site) (*Pages, error) {
	page, err := template.New("welcome").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("cannot read the page for browsers: %w", err)
	}
	sum := sha256.Sum256([]byte(pageCSS))
	return &Pages{
		page: page, contact: template.URL(contact), sites: sites,
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

// Policy is the Content-Security-Policy of the pages: nothing runs there, and nothing is fetched.
func (p *Pages) Policy() string { return p.policy }

// Page is the page about the sites of those names.
func (p *Pages) Page(names []string) ([]byte, error) {
	data := struct {
		Style   template.CSS
		Contact template.URL
		Call    string
		Sites   []Site
	}{Style: template.CSS(pageCSS), Contact: p.contact}
	_, call, isNumberOrMail := strings.Cut(string(p.contact), ":")
	if data.Call = call; !isNumberOrMail || strings.HasPrefix(call, "//") {
		data.Call = string(p.contact)
	}
	for _, s := range p.sites {
		if slices.Contains(names, s.Name) {
			data.Sites = append(data.Sites, s)
		}
	}
	var b bytes.Buffer
	err := p.page.Execute(&b, data)
	return b.Bytes(), err
}
