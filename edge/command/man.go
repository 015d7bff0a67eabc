package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// manCommand is "edge man".
type manCommand struct{}

// Help is the text of "edge help man".
func (c *manCommand) Help() string {
	return `A package installs it: edge man > edge.1. To read it at once: edge man | man -l -`
}

// run prints the manual page, as troff source.
func (c *manCommand) run(model *kong.Application, stdout, stderr io.Writer) int {
	_, err := io.WriteString(stdout, manual(model))
	return exitFor(err, stderr)
}

// manual writes the manual page from the parser's model.
func manual(model *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH EDGE 1 \"\" \"edge %s\"\n.SH NAME\nedge \\- %s\n", troff(version()), troff(strings.TrimSuffix(model.Help, ".")))
	b.WriteString(".SH SYNOPSIS\n.B edge\n[\\fICOMMAND\\fR] [\\fIFLAGS\\fR]\n.SH COMMANDS\n")
	for _, c := range model.Children {
		fmt.Fprintf(&b, ".SS %s\n%s\n", troff(c.Summary()), troff(c.Help))
		if c.Detail != "" {
			fmt.Fprintf(&b, ".PP\n%s\n", troff(c.Detail))
		}
		for _, p := range c.Positional {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", troff(p.Name), troff(p.Help))
		}
		for _, f := range c.Flags {
			name := "--" + f.Name
			if !f.IsBool() {
				name += "=" + f.FormatPlaceHolder()
			}
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", troff(name), troff(f.Help))
		}
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, e := range []struct{ code, text string }{
		{"0", "It is done."},
		{"1", "Something failed, the edge is not ready, status --strict found a problem that clients notice, or nothing is stored of the name that was given."},
		{"2", "The command line or the configuration is wrong."},
	} {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", e.code, e.text)
	}
	b.WriteString(".SH ENVIRONMENT\n")
	for _, e := range []struct{ name, text string }{
		{adminVariable, "Stands in for --admin."},
		{"EDGE_ADMIN_TOKEN", "Stands in for --token, and for admin.token where the configuration does not set it."},
		{"EDGE_PUBLIC_URL", "Stands in for public_url where the configuration does not set it."},
		{"GOMEMLIMIT", "Replaces the memory limit that follows from cache.memory."},
	} {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", troff(e.name), troff(e.text))
	}
	b.WriteString(".SH FILES\n.TP\n.B config.yaml\nThe configuration, in the working directory, unless --config names another. Without one the built-in configuration serves.\n")
	return b.String()
}

// troff escapes a text for troff, where a leading dot or quote begins a request.
func troff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
