// Command render renders a chart by Helm's own engine, with each file of values in a directory, and
// writes the manifests beside them. It is a module of its own: Helm and Kubernetes are no part of the edge.
//
//	go run . ../edge ../cases        "make chart" calls it
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(dir, cases string) error {
	c, err := loader.Load(dir)
	if err != nil {
		return fmt.Errorf("cannot load the chart: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(cases, "*.values.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		digest, err := digestOf(dir, file)
		if err != nil {
			return err
		}
		text, err := render(c, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		head := "# Rendered by make chart; sha256 of the chart and the values: " + digest + "\n"
		to := strings.TrimSuffix(file, ".values.yaml") + ".rendered.yaml"
		if err := os.WriteFile(to, []byte(head+text), 0o644); err != nil {
			return err
		}
		fmt.Println(to)
	}
	return nil
}

// render renders the chart with a file of values, and holds each manifest against its type.
func render(c *chart.Chart, file string) (string, error) {
	values, err := chartutil.ReadValuesFile(file)
	if err != nil {
		return "", err
	}
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "npm", Namespace: "registry", IsInstall: true}, nil)
	if err != nil {
		return "", err
	}
	rendered, err := engine.Engine{}.Render(c, all)
	if err != nil {
		return "", err
	}
	var names []string
	for name, text := range rendered {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(text) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		for _, document := range strings.Split(rendered[name], "\n---\n") {
			if err := check(document); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", name, strings.Trim(document, "\n"))
		}
	}
	return out.String(), nil
}

// check refuses a manifest with a field that its kind does not have.
func check(document string) error {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "StatefulSet":
		return yaml.UnmarshalStrict([]byte(document), new(appsv1.StatefulSet))
	case "Service":
		return yaml.UnmarshalStrict([]byte(document), new(corev1.Service))
	case "ConfigMap":
		return yaml.UnmarshalStrict([]byte(document), new(corev1.ConfigMap))
	case "PodDisruptionBudget":
		return yaml.UnmarshalStrict([]byte(document), new(policyv1.PodDisruptionBudget))
	case "ServiceMonitor": // a type of an operator, which is not here
		return nil
	}
	return fmt.Errorf("a manifest of kind %q", kind.Kind)
}

// digestOf is that of all files of the chart, and of the values. A test of the edge computes it, too.
func digestOf(dir, values string) (string, error) {
	sum := sha256.New()
	add := func(path string) error {
		text, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(path), len(text), text)
		return err
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return add(path)
	})
	if err == nil {
		err = add(values)
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}
