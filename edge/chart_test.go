package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"pkgedge/edge/command"
	"pkgedge/edge/edgetest"
)

const (
	chartDir = "../deploy/helm/edge"
	casesDir = "../deploy/helm/cases/"
)

// manifest has the parts of all kinds of manifests that these tests look at.
type manifest struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Data map[string]string
	Spec struct {
		ServiceName string `yaml:"serviceName"`
		Selector    yaml.Node
		Ports       []struct {
			Name       string
			TargetPort string `yaml:"targetPort"`
		}
		Endpoints []struct{ Port, Path string }
		Template  struct {
			Metadata struct{ Labels, Annotations map[string]string }
			Spec     struct {
				Grace           int            `yaml:"terminationGracePeriodSeconds"`
				SecurityContext map[string]any `yaml:"securityContext"`
				Containers      []container
				Volumes         []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
			}
		}
		Claims []struct {
			Metadata struct{ Name string }
			Spec     struct {
				Resources struct{ Requests map[string]string }
			}
		} `yaml:"volumeClaimTemplates"`
	}
}

type container struct {
	Image           string
	Args            []string
	StartupProbe    probe          `yaml:"startupProbe"`
	LivenessProbe   probe          `yaml:"livenessProbe"`
	ReadinessProbe  probe          `yaml:"readinessProbe"`
	SecurityContext map[string]any `yaml:"securityContext"`
	Env             []struct{ Name string }
	Ports           []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	Resources    struct{ Limits map[string]string }
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// renderedCase reads the manifests of a case, by kind and name.
func renderedCase(t *testing.T, name string) map[string]manifest {
	t.Helper()
	text, err := os.ReadFile(casesDir + name + ".rendered.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]manifest{}
	for _, document := range strings.Split(string(text), "\n---\n")[1:] {
		var m manifest
		if err := yaml.Unmarshal([]byte(document), &m); err != nil {
			t.Fatal(err)
		}
		all[m.Kind+" "+m.Metadata.Name] = m
	}
	return all
}

// make chart renders the chart by Helm's own engine, which is too heavy for each run of the tests. The
// manifests carry the digest of the files that they are of.
func TestChartIsRendered(t *testing.T) {
	for _, name := range []string{"default", "fleet"} {
		sum := sha256.New()
		add := func(path string) error {
			text, err := os.ReadFile(path)
			fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(path), len(text), text)
			return err
		}
		err := filepath.WalkDir(chartDir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			return add(path)
		})
		if err == nil {
			err = add(casesDir + name + ".values.yaml")
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(casesDir + name + ".rendered.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), " "+hex.EncodeToString(sum.Sum(nil))+"\n") {
			t.Errorf("%s.rendered.yaml is of another chart: run make chart", name)
		}
	}
}

func TestHelmTakesTheChart(t *testing.T) {
	helm, err := exec.LookPath("helm")
	if err != nil {
		t.Skip("there is no helm here: ", err)
	}
	for _, name := range []string{"default", "fleet"} {
		if out, err := exec.CommandContext(t.Context(), helm, "lint", "--strict", chartDir, "--values", casesDir+name+".values.yaml").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// The configuration of a pod passes edge check, and the pod is as it says.
func TestChartRunsAnEdge(t *testing.T) {
	secrets := map[string]string{"POD_NAME": "npm-edge-0", "ACME_TOKEN": "a"}
	for _, name := range []string{"default", "fleet"} {
		t.Run(name, func(t *testing.T) {
			all := renderedCase(t, name)
			set, ok := all["StatefulSet npm-edge"]
			if !ok || len(set.Spec.Template.Spec.Containers) != 1 || len(set.Spec.Claims) != 1 {
				t.Fatalf("no StatefulSet with a container and a volume: %+v", all)
			}
			pod, edge := set.Spec.Template.Spec, set.Spec.Template.Spec.Containers[0]
			env := map[string]string{}
			for _, v := range edge.Env {
				env[v.Name] = "0123456789abcdef"
			}
			for k, v := range secrets {
				env[k] = v
			}

			text := all["ConfigMap "+pod.Volumes[0].ConfigMap.Name].Data["config.yaml"]
			var config struct {
				Listen string
				Admin  struct{ Listen string }
				Cache  struct{ Dir, Memory, Disk string }
				Drain  struct{ Delay, Limit time.Duration }
			}
			if err := yaml.Unmarshal([]byte(text), &config); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "config.yaml")
			edgetest.WriteFile(t, file, text)
			var out, errs bytes.Buffer
			if code := command.Run(t.Context(), []string{"check", "--config", file}, &out, &errs, edgetest.EnvOf(env)); code != 0 {
				t.Errorf("edge check: %s", errs.String())
			}
			for line := range strings.Lines(out.String() + errs.String()) {
				if strings.HasPrefix(line, "warning: ") && !strings.Contains(line, "may read @acme") { // which is so, of that case
					t.Error(line)
				}
			}
			if strings.Join(edge.Args, " ") != "serve --config "+edge.VolumeMounts[0].MountPath+"/config.yaml" {
				t.Errorf("arguments %q with the configuration in %s", edge.Args, edge.VolumeMounts[0].MountPath)
			}
			if !strings.HasPrefix(config.Cache.Dir, edge.VolumeMounts[1].MountPath+"/") || edge.VolumeMounts[1].Name != set.Spec.Claims[0].Metadata.Name {
				t.Errorf("the cache is in %s, the volume %s at %s", config.Cache.Dir, edge.VolumeMounts[1].Name, edge.VolumeMounts[1].MountPath)
			}
			if least := int((config.Drain.Delay + config.Drain.Limit) / time.Second); pod.Grace < least+10 {
				t.Errorf("%d seconds to drain, and %d until the end", least, pod.Grace)
			}
			if size(t, edge.Resources.Limits["memory"]) < size(t, config.Cache.Memory)*4/3 {
				t.Errorf("memory: a limit of %s for %s", edge.Resources.Limits["memory"], config.Cache.Memory)
			}
			if volume := size(t, set.Spec.Claims[0].Spec.Resources.Requests["storage"]); size(t, config.Cache.Disk) > volume-volume/20 {
				t.Errorf("disk: %s in a volume of %d", config.Cache.Disk, volume)
			}
			ports := map[string]string{}
			for _, p := range edge.Ports {
				ports[p.Name] = fmt.Sprintf(":%d", p.ContainerPort)
			}
			if ports["http"] != config.Listen || ports["admin"] != config.Admin.Listen {
				t.Errorf("ports %v for %s and %s", ports, config.Listen, config.Admin.Listen)
			}
			for probed, path := range map[probe]string{edge.StartupProbe: "/readyz", edge.LivenessProbe: "/healthz", edge.ReadinessProbe: "/readyz"} {
				if probed.HTTPGet.Path != path || probed.HTTPGet.Port != "admin" {
					t.Errorf("a probe of %+v; want %s", probed.HTTPGet, path)
				}
			}
			if len(set.Spec.Template.Metadata.Annotations["checksum/config"]) != 64 {
				t.Error("a change of the configuration does not replace the pods")
			}
			for key, want := range map[string]any{"runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532} {
				if pod.SecurityContext[key] != want {
					t.Errorf("pod: %s is %v", key, pod.SecurityContext[key])
				}
			}
			if c := edge.SecurityContext; c["readOnlyRootFilesystem"] != true || c["allowPrivilegeEscalation"] != false || fmt.Sprint(c["capabilities"]) != "map[drop:[ALL]]" {
				t.Errorf("container: %v", c)
			}

			selectorsMatch(t, all, ports)
			kinds := []string{"ConfigMap npm-edge", "PodDisruptionBudget npm-edge", "Service npm-edge", "Service npm-edge-pods", "StatefulSet npm-edge"}
			if name == "fleet" {
				kinds = append(kinds, "ServiceMonitor npm-edge")
			}
			for _, k := range kinds {
				if _, ok := all[k]; !ok {
					t.Errorf("no %s", k)
				}
			}
			if len(all) != len(kinds) {
				t.Errorf("%d manifests; want %v", len(all), kinds)
			}
		})
	}
}

// selectorsMatch checks that the selectors find the pods, or the Service of the pods, and that the ports exist.
func selectorsMatch(t *testing.T, all map[string]manifest, ports map[string]string) {
	t.Helper()
	set := all["StatefulSet npm-edge"]
	labels := set.Spec.Template.Metadata.Labels
	for key, m := range all {
		if m.Kind == "ConfigMap" {
			continue
		}
		var err error
		selected := map[string]string{}
		var match struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		if m.Kind == "Service" {
			err = m.Spec.Selector.Decode(&selected)
		} else if err = m.Spec.Selector.Decode(&match); err == nil {
			selected = match.MatchLabels
		}
		among := labels
		if m.Kind == "ServiceMonitor" {
			among = all["Service "+set.Spec.ServiceName].Metadata.Labels
		}
		if err != nil || len(selected) < 2 {
			t.Errorf("%s selects %v, %v", key, selected, err)
		}
		for k, v := range selected {
			if among[k] != v {
				t.Errorf("%s selects %s=%s, and there is %v", key, k, v, among)
			}
		}
		for _, p := range m.Spec.Ports {
			if ports[p.TargetPort] == "" {
				t.Errorf("%s leads to the port %s", key, p.TargetPort)
			}
		}
	}
}

func TestChartHasTheVersionOfTheProgram(t *testing.T) {
	version, err := os.ReadFile("command/VERSION")
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version    string
		AppVersion string `yaml:"appVersion"`
	}
	text, err := os.ReadFile(chartDir + "/Chart.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &chart)
	}
	if v := strings.TrimSpace(string(version)); err != nil || chart.Version != v || chart.AppVersion != v {
		t.Errorf("%+v, %v; want %s", chart, err, v)
	}
}

// size reads 10Gi and 10GiB.
func size(t *testing.T, text string) int64 {
	t.Helper()
	var n int64
	var unit string
	if _, err := fmt.Sscanf(text, "%d%s", &n, &unit); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	power := slices.Index([]string{"", "Ki", "Mi", "Gi", "Ti"}, strings.TrimSuffix(unit, "B"))
	if power < 0 {
		t.Fatalf("%q is no size", text)
	}
	return n << (10 * power)
}
