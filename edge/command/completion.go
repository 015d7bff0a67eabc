package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand is "edge completion".
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the text of "edge help completion".
func (c *completionCommand) Help() string {
	return `Read it once for each shell: eval "$(edge completion bash)" in ~/.bashrc, eval "$(edge completion zsh)" in ~/.zshrc behind compinit, or edge completion fish | source in ` +
		`~/.config/fish/config.fish.`
}

// run prints the script of a shell.
func (c *completionCommand) run(model *kong.Application, stdout, stderr io.Writer) int {
	write := map[string]func(*strings.Builder, []verb){"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	var b strings.Builder
	write(&b, verbs(model))
	_, err := io.WriteString(stdout, b.String())
	return exitFor(err, stderr)
}

// verb is a command as a shell completes it.
type verb struct {
	name, help string
	flags      []option
	files      bool     // its arguments are files
	words      []string // its first argument is one of these
}

// option is a flag of a command.
type option struct {
	name, help string
	value      string // the placeholder of its value; "" for none
}

// file reports whether the option's value is a file.
func (o option) file() bool { return o.value == "FILE" }

// verbs reads the commands from the parser's model.
func verbs(model *kong.Application) (all []verb) {
	for _, c := range model.Children {
		v := verb{name: c.Name, help: c.Help}
		for _, f := range append(c.Flags, model.Flags...) {
			o := option{name: "--" + f.Name, help: f.Help}
			if !f.IsBool() {
				o.value = f.FormatPlaceHolder()
			}
			v.flags = append(v.flags, o)
		}
		for _, p := range c.Positional {
			v.files = v.files || strings.HasPrefix(p.Name, "lockfile")
			if p.Enum != "" {
				v.words = strings.Split(p.Enum, ",")
			}
		}
		if c.Name == "help" {
			for _, other := range model.Children {
				v.words = append(v.words, other.Name)
			}
		}
		all = append(all, v)
	}
	return all
}

func bashCompletion(b *strings.Builder, all []verb) {
	b.WriteString("_edge() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n\tCOMPREPLY=()\n\tif ((COMP_CWORD == 1)); then\n\t\twords='")
	for _, v := range all {
		b.WriteString(v.name + " ")
	}
	b.WriteString("--help --version'\n\telse\n\t\tcase ${COMP_WORDS[1]} in\n")
	files, values := map[string]bool{}, map[string]bool{}
	for _, v := range all {
		fmt.Fprintf(b, "\t\t%s) words='%s", v.name, strings.Join(v.words, " "))
		for _, o := range v.flags {
			b.WriteString(" " + o.name)
			if o.value != "" {
				values[o.name] = true
			}
			if o.file() {
				files[o.name] = true
			}
		}
		b.WriteString("' ;;\n")
	}
	b.WriteString("\t\tesac\n\tfi\n\tcase $prev in\n")
	for _, name := range sorted(files) {
		fmt.Fprintf(b, "\t%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", name)
		delete(values, name)
	}
	for _, name := range sorted(values) {
		fmt.Fprintf(b, "\t%s) return ;;\n", name)
	}
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _edge edge\n")
}

func zshCompletion(b *strings.Builder, all []verb) {
	b.WriteString("#compdef edge\n_edge() {\n\tlocal -a commands\n\tcommands=(\n")
	for _, v := range all {
		fmt.Fprintf(b, "\t\t%s\n", shellQuote(v.name+":"+v.help))
	}
	b.WriteString("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tlocal verb=$words[2]\n\tshift words\n\t((CURRENT--))\n\tcase $verb in\n")
	for _, v := range all {
		fmt.Fprintf(b, "\t%s) _arguments", v.name)
		for _, o := range v.flags {
			b.WriteString(" \\\n\t\t" + zshOption(o))
		}
		switch {
		case v.files:
			b.WriteString(" \\\n\t\t'*:file:_files'")
		case len(v.words) > 0:
			fmt.Fprintf(b, " \\\n\t\t'1: :(%s)'", strings.Join(v.words, " "))
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("\tesac\n}\ncompdef _edge edge\n")
}

// zshOption is an option as _arguments has it.
func zshOption(o option) string {
	help := strings.NewReplacer("[", "(", "]", ")", ":", `\:`).Replace(o.help)
	switch {
	case o.file():
		return shellQuote(o.name + "=[" + help + "]:file:_files")
	case o.value != "":
		return shellQuote(o.name + "=[" + help + "]:value: ")
	}
	return shellQuote(o.name + "[" + help + "]")
}

func fishCompletion(b *strings.Builder, all []verb) {
	b.WriteString("complete -c edge -f\ncomplete -c edge -n __fish_use_subcommand -l version -d 'Print the version.'\n")
	for _, v := range all {
		fmt.Fprintf(b, "complete -c edge -n __fish_use_subcommand -a %s -d %s\n", v.name, shellQuote(v.help))
	}
	for _, v := range all {
		seen := "-n '__fish_seen_subcommand_from " + v.name + "'"
		if v.files {
			fmt.Fprintf(b, "complete -c edge %s -F\n", seen)
		}
		if len(v.words) > 0 {
			fmt.Fprintf(b, "complete -c edge %s -a %s\n", seen, shellQuote(strings.Join(v.words, " ")))
		}
		for _, o := range v.flags {
			kind := ""
			if o.value != "" {
				kind = " -x"
			}
			if o.file() {
				kind = " -r -F"
			}
			fmt.Fprintf(b, "complete -c edge %s -l %s%s -d %s\n", seen, strings.TrimPrefix(o.name, "--"), kind, shellQuote(o.help))
		}
	}
}

// shellQuote quotes a text for a shell. A quote within becomes a typographic one, which needs
// no rule that differs from shell to shell.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", "’") + "'" }
