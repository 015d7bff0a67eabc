package config

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"pkgedge/origin/kinds"
)

// compiled is the schema of docs, which "make schema" writes.
func compiled(t *testing.T) (*jsonschema.Schema, []byte) {
	t.Helper()
	text, err := os.ReadFile("../../docs/config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s, text
}

// valid validates the text of a file, as an editor reads it.
func valid(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestTheSchemaIsTheDecoders(t *testing.T) {
	_, text := compiled(t)
	config, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var have, want any
	made, err := json.Marshal(Schema(kinds.All(), config))
	if err != nil || json.Unmarshal(made, &want) != nil || json.Unmarshal(text, &have) != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(have)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Error("docs/config.schema.json is not the decoder's: run make schema")
	}
	if !strings.HasPrefix(string(config), "# yaml-language-server: $schema=docs/config.schema.json\n") {
		t.Error("config.yaml does not name the schema in its first line")
	}
}

// An editor has no objection to the files that are shipped, and to none that the decoder takes.
func TestTheSchemaTakesShippedFiles(t *testing.T) {
	s, _ := compiled(t)
	files := map[string][]byte{}
	config, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files["config.yaml"] = config
	profiles, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(profiles), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		files["profile "+string(rune('1'+i))] = []byte(block)
	}
	if len(files) < 4 {
		t.Fatalf("%d files", len(files))
	}
	for _, text := range []string{
		"listen: ''\ntls: { listen: ':443', domains: [a.example] }\npublic_url: ${URL}\n",
		"limits: { rate: 1.5, burst: 10, exempt: [10.0.0.0/8, '::1'] }\n",
		"limits: { rate: '50' }\ncache: { memory: 4096000000, disk: 10 GB }\nlog: { access: off }\n",
		"sites: [{ name: a, minimum_age: 3d, stale: { if_error: forever, while_revalidate: 0 }, fresh: { clients: '', metadata: 1d12h } }]\n",
		"sites: [{ name: a, minimum_age: { for: 3d, exempt: [a] }, scopes: { '@x': { masters: [{ url: 'http://a.example', role: primary }] } } }]\n",
	} {
		files[text] = []byte(text)
	}
	for name, text := range files {
		if err := valid(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An editor marks the mistakes that can be seen without comparing keys.
func TestTheSchemaRefusesMistakes(t *testing.T) {
	s, _ := compiled(t)
	for _, text := range []string{
		"chache: {}\n", "cache: { colour: red }\n", "sites: [{ name: a, hostss: [] }]\n", "cache: [1]\n", "cache: big\n", "sites: {}\n", "listen: {}\n",
		"cache: { memory: lots }\n", "cache: { memory: 1.5GiB }\n", "cache: { disk: -1GiB }\n", "listen: 127.0.0.1\n", "listen: 8080\n",
		"log: { level: loud }\n", "log: { access: xml }\n", "fast_lane: maybe\n", "public_url: ftp://a.example\n",
		"limits: { rate: lots }\n", "limits: { burst: 1.5 }\n", "limits: { exempt: 10.0.0.0/8 }\n", "limits: { exempt: [everyone] }\n",
		"sites: [{ name: a, kind: nmp }]\n", "sites: [{ name: a, masters: [{ url: a.example, role: primary }] }]\n",
		"sites: [{ name: a, masters: [{ url: 'http://a.example', role: boss }] }]\n", "sites: [{ name: a, fresh: { metadata: soon } }]\n",
		"sites: [{ name: a, timeouts: { idle: 5 } }]\n", "sites: [{ name: a, probe: { fall: often } }]\n", "sites: [{ name: a, path: npm }]\n",
		"sites: [{ name: a, stale: { if_error: always } }]\n", "sites: [{ name: a, minimum_age: { form: 3d } }]\n",
		"sites: [{ name: a, scopes: { '@x': { master: [] } } }]\n", "tls: { domains: a.example }\n", "tls: { redirect: sometimes }\n", "- a\n",
	} {
		if valid(t, s, []byte(text)) == nil {
			t.Errorf("takes %s", text)
		}
	}
}
