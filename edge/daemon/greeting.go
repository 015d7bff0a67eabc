package daemon

import (
	"fmt"
	"io"
	"slices"

	"pkgedge/edge/config"
)

// greet prints the commands to type next.
func greet(out io.Writer, cfg *config.Config, samples bool) error {
	site := &cfg.Sites[0]
	if i := slices.IndexFunc(cfg.Sites, func(s config.Site) bool { return s.Kind.Samples }); i >= 0 {
		site = &cfg.Sites[i]
	}
	base := cfg.Public(site).String()
	text := ""
	for i := range cfg.Sites {
		text += "edge serves " + cfg.Public(&cfg.Sites[i]).String() + "\n"
	}
	if samples {
		text += fmt.Sprintf(`
No master is configured, so two sample masters run inside this process.
Install their app through the edge, in an empty folder:

    npm install --registry %[1]s edge-sample-app
    npx edge-sample-app

Put the edge in front of a real registry:

    go run ./edge --master "$(npm config get registry)"
`, base)
	} else if site.Kind.Install != "" {
		text += "\nInstall through it:\n\n    " + fmt.Sprintf(site.Kind.Install, base) + "\n"
	}
	if cfg.Admin.Listen != "" {
		text += fmt.Sprintf("\nLook inside: http://%s/status\n\n", cfg.Admin.Listen)
	}
	_, err := io.WriteString(out, text)
	return err
}
