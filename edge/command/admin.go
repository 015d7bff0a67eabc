package command

import (
	"cmp"
	"fmt"
	"net/url"

	"pkgedge/edge/admin"
	"pkgedge/edge/config/value"
)

// URLs of an edge whose configuration names no address.
const (
	usualAdmin = "http://127.0.0.1:8081"
	usualEdge  = "http://127.0.0.1:8080"
)

// adminFlags locate the admin listener of a running edge.
type adminFlags struct {
	Admin string `placeholder:"URL" help:"Admin listener of the edge. Default: the environment variable EDGE_ADMIN_URL, or http://127.0.0.1:8081."`
	Token string `placeholder:"TOKEN" help:"Its bearer token. Default: the environment variable EDGE_ADMIN_TOKEN, which does not show in the list of processes."`
}

// baseURL reads the URL that a flag was given.
func baseURL(flag, text string) (*url.URL, error) {
	u, err := value.ParseBase(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %q %w", flag, text, err)}
	}
	return u, nil
}

// adminVariable of the environment stands in for --admin.
const adminVariable = "EDGE_ADMIN_URL"

// url is the admin listener that was named, "" for none.
func (f adminFlags) url(env func(string) (string, bool)) string {
	text, _ := env(adminVariable)
	return cmp.Or(f.Admin, text)
}

// client returns the client that the flags describe. The caller closes it.
func (f adminFlags) client(env func(string) (string, bool)) (*admin.Client, error) {
	from := "--admin"
	if text := f.url(env); text != "" && f.Admin == "" {
		f.Admin, from = text, adminVariable
	}
	base, err := baseURL(from, cmp.Or(f.Admin, usualAdmin))
	if err != nil {
		return nil, err
	}
	if f.Token == "" {
		f.Token, _ = env("EDGE_ADMIN_TOKEN")
	}
	return admin.NewClient(base.String(), f.Token), nil
}
