package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pkgedge/edge/admin"
)

func TestDrainSaysWhatIsLeft(t *testing.T) {
	const masters = `probe: { path: /-/ping, every: 1h }, masters: [{ url: "http://127.0.0.1:1", role: primary }, { url: "http://127.0.0.1:2/npm", role: replica }, { url: "http://127.0.0.2:3", role: spare }]`
	npm := "sites: [{ name: site, kind: npm, " + masters + ` }]`
	files := `sites: [{ name: site, kind: files, masters: [{ url: "http://127.0.0.1:1", role: primary }, { url: "http://127.0.0.1:2", role: replica }], files: [{ url: "http://127.0.0.1:2", role: primary }] }]`
	scoped := `sites: [{ name: site, kind: npm, probe: { every: 1h }, masters: [{ url: "http://127.0.0.1:1", role: primary }], scopes: { "@acme": { masters: [{ url: "http://127.0.0.1:9", role: primary }] } } }]`
	const noWrites = " is drained: writes (login, publish, dist-tag) are answered 503 until it is back"
	const none = " are left in rotation: clients get what is stored, and 503 for the rest"
	for _, tt := range []struct {
		name, config string
		drain        []string // the last one is looked at; with a "-" it is undrained
		masters      []string // number and pool; "=" where nothing has changed
		left         []int
		warnings     []string
		err          error
	}{
		{"a replica by number", npm, []string{"1"}, []string{"1 masters"}, []int{0, 2}, nil, nil},
		{"by URL", npm, []string{"http://127.0.0.1:2/npm"}, []string{"1 masters"}, []int{0, 2}, nil, nil},
		{"by host and port", npm, []string{"127.0.0.1:2"}, []string{"1 masters"}, []int{0, 2}, nil, nil},
		{"by host", npm, []string{"127.0.0.2"}, []string{"2 masters"}, []int{0, 1}, nil, nil},
		{"a host with several servers", npm, []string{"127.0.0.1"}, nil, nil, nil, admin.ErrAmbiguousMaster},
		{"nobody", npm, []string{"9"}, nil, nil, nil, admin.ErrUnknownMaster},
		{"the primary", npm, []string{"0"}, []string{"0 masters"}, []int{1, 2}, []string{"the primary" + noWrites}, nil},
		{"all but a spare", npm, []string{"0", "1"}, []string{"1 masters"}, []int{2}, []string{"only spares are left of the masters"}, nil},
		{"the last one", npm, []string{"0", "1", "2"}, []string{"2 masters"}, nil, []string{"no masters" + none}, nil},
		{"twice", npm, []string{"1", "1"}, []string{"1 masters ="}, []int{0, 2}, nil, nil},
		{"back", npm, []string{"1", "-1"}, []string{"1 masters"}, []int{0, 1, 2}, nil, nil},
		{"back without having been away", npm, []string{"-1"}, []string{"1 masters ="}, []int{0, 1, 2}, nil, nil},
		{"a server of metadata and files", files, []string{"127.0.0.1:2"}, []string{"1 masters", "2 files"}, []int{0}, []string{"no masters for files" + none}, nil},
		{"a primary that takes no writes", files, []string{"0"}, []string{"0 masters"}, []int{1}, nil, nil},
		{"a scope's", scoped, []string{"1"}, []string{"1 @acme masters"}, nil, []string{"no masters of @acme" + none, "the primary of @acme" + noWrites}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newTestEdge(t, tt.config, false)
			defer e.close()
			var done admin.Rotation
			var err error
			for _, name := range tt.drain {
				name, back := strings.CutPrefix(name, "-")
				done, err = drainer{e.Daemon}.Drain(t.Context(), "site", name, !back)
			}
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v; want %v", err, tt.err)
			}
			var masters []string
			for _, m := range done.Masters {
				mark := ""
				if !m.Changed {
					mark = " ="
				}
				masters = append(masters, fmt.Sprint(m.N, " ", m.Pool, mark))
			}
			var left []int
			for _, m := range done.Left {
				left = append(left, m.N)
			}
			if !slices.Equal(masters, tt.masters) || !slices.Equal(left, tt.left) || !slices.Equal(done.Warnings, tt.warnings) {
				t.Errorf("masters %q, left %v, warnings %q; want %q, %v, %q", masters, left, done.Warnings, tt.masters, tt.left, tt.warnings)
			}
		})
	}
}
