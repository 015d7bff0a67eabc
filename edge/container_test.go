package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"pkgedge/edge/command"
	"pkgedge/edge/edgetest"
)

// instruction returns the rest of the last line of a Dockerfile that begins with a word.
func instruction(t *testing.T, dockerfile, word string) string {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^`+word+` (.*)$`).FindAllStringSubmatch(dockerfile, -1)
	if len(lines) == 0 {
		t.Fatalf("the Dockerfile has no %s", word)
	}
	return lines[len(lines)-1][1]
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// No image is built here: there may be no container engine. The parts that must agree do.
func TestComposeFileFitsTheImage(t *testing.T) {
	dockerfile := readFile(t, "../Dockerfile")
	type service struct {
		Build       string
		Ports       []string
		Environment map[string]string
		Configs     []struct{ Source, Target string }
		Volumes     []string
		Grace       string `yaml:"stop_grace_period"`
	}
	var compose struct {
		Services map[string]service
		Configs  map[string]struct{ Content string }
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "../deploy/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	edge, prometheus := compose.Services["edge"], compose.Services["prometheus"]
	text := compose.Configs["edge"].Content
	var config struct {
		Listen string
		Admin  struct{ Listen string }
		Cache  struct{ Dir string }
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	edgetest.WriteFile(t, file, text)
	env := map[string]string{"EDGE_ADMIN_TOKEN": "0123456789abcdef", "EDGE_PUBLIC_URL": "http://localhost:8080"}
	for name := range env {
		if edge.Environment[name] == "" {
			t.Errorf("the edge does not get %s", name)
		}
	}
	var out, errs bytes.Buffer
	if code := command.Run(t.Context(), []string{"check", "--config", file}, &out, &errs, edgetest.EnvOf(env)); code != 0 {
		t.Errorf("edge check: %s", errs.String())
	}

	dir, volume := instruction(t, dockerfile, "WORKDIR"), instruction(t, dockerfile, "VOLUME")
	if filepath.Join(dir, config.Cache.Dir) != volume || len(edge.Volumes) != 1 || edge.Volumes[0] != "edge-cache:"+volume {
		t.Errorf("the cache is %s in %s, the image's volume %s, the service's %v", config.Cache.Dir, dir, volume, edge.Volumes)
	}
	if _, ok := compose.Volumes["edge-cache"]; !ok {
		t.Errorf("volumes %v", compose.Volumes)
	}
	if len(edge.Configs) != 1 || edge.Configs[0].Target != dir+"/config.yaml" {
		t.Errorf("configuration %v; the edge reads config.yaml in %s", edge.Configs, dir)
	}
	if port := instruction(t, dockerfile, "EXPOSE"); !slices.Equal(edge.Ports, []string{port + ":" + port}) || config.Listen != ":"+port || !strings.Contains(instruction(t, dockerfile, "CMD"), `":`+port+`"`) {
		t.Errorf("ports %v; the image has %s, the configuration %s", edge.Ports, port, config.Listen)
	}
	if grace, err := time.ParseDuration(edge.Grace); err != nil || grace < 40*time.Second {
		t.Errorf("%s to stop, and 30s for requests under way", edge.Grace)
	}
	if _, err := os.Stat(filepath.Join("../deploy", edge.Build, "Dockerfile")); err != nil {
		t.Error(err)
	}
	scraped := compose.Configs["prometheus"].Content
	if !strings.Contains(scraped, `"edge`+config.Admin.Listen+`"`) {
		t.Errorf("the admin listener is %s, and Prometheus has\n%s", config.Admin.Listen, scraped)
	}
	if len(prometheus.Volumes) != 1 || !strings.HasPrefix(prometheus.Volumes[0], "./alerts.yaml:/etc/prometheus/alerts.yaml") || !strings.Contains(scraped, "rule_files: [alerts.yaml]") {
		t.Errorf("alerts: %v, and %s", prometheus.Volumes, scraped)
	}
	if user := instruction(t, dockerfile, "USER"); user == "0" || strings.HasPrefix(user, "root") {
		t.Errorf("the image runs as %s", user)
	}

	install := readFile(t, "../docs/install.md")
	for _, part := range []string{"-v edge-cache:" + volume, "-v ./config.yaml:" + dir + "/config.yaml:ro", "-p 8080:8080"} {
		if !strings.Contains(install, part) {
			t.Errorf("docs/install.md has no %s", part)
		}
	}
}

// The image is built of the files that .dockerignore lets through.
func TestImageHasThePackagesOfTheProgram(t *testing.T) {
	ignore := readFile(t, "../.dockerignore")
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 20 {
		t.Fatal(packages)
	}
	for _, p := range packages {
		room := strings.Split(p, "/")[1]
		if !strings.Contains(ignore, "\n!"+room+"\n") {
			t.Errorf(".dockerignore lets %s of %s not through", room, p)
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "LICENSE"} {
		if !strings.Contains(ignore, "\n!"+file+"\n") {
			t.Errorf(".dockerignore lets %s not through", file)
		}
	}
}
