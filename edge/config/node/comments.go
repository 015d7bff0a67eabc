package node

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// Comments returns the comment above each key of a file, by the key's path, as one paragraph.
// Of a list only the first element counts. A text that is no YAML has none.
func Comments(text []byte) map[string]string {
	found := make(map[string]string)
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return found
	}
	comments(doc.Content[0], "", found)
	return found
}

func comments(n *yaml.Node, path string, found map[string]string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			at := strings.TrimPrefix(path+"."+key.Value, ".")
			if text := paragraph(key.HeadComment); text != "" {
				found[at] = text
			}
			comments(n.Content[i+1], at, found)
		}
	case yaml.SequenceNode:
		if len(n.Content) > 0 {
			comments(n.Content[0], path+"[0]", found)
		}
	}
}

// paragraph is the last paragraph of a comment, in one line.
func paragraph(comment string) string {
	var words []string
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#"))
		if line == "" {
			words = nil
			continue
		}
		words = append(words, line)
	}
	return strings.Join(words, " ")
}
