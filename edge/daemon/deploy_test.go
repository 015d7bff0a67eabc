package daemon

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

const deployed = "../../deploy/"

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An alert or a plot of a metric that does not exist shows nothing for ever.
func TestDeployedFilesNameMetricsThatExist(t *testing.T) {
	b := newBehindTwo(t, "")
	b.want(b.read("/edge-sample-words"), 200)
	edgetest.Until(t, "the end of the request", func() bool { return b.edge.metrics.InFlight() == 0 })
	_, metrics := b.operator("GET", "/metrics")
	var known []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(metrics, -1) {
		known = append(known, m[1], m[1]+"_bucket")
	}
	source := ""
	for _, file := range []string{"metrics.go", "fleet.go", "../gauges/gauges.go", "../gauges/fleet.go"} {
		source += readText(t, file)
	}
	for _, of := range []string{"feed", "certificate", "fleet"} { // which this edge has none of
		for _, m := range regexp.MustCompile(`"(edge_`+of+`[a-z_]+)"`).FindAllStringSubmatch(source, -1) {
			known = append(known, m[1])
		}
	}
	for _, file := range []string{"alerts.yaml", "alerts_test.yaml", "grafana.json"} {
		named := regexp.MustCompile(`\b(edge|process)_[a-z_]+\b`).FindAllString(readText(t, deployed+file), -1)
		if len(named) < 3 {
			t.Errorf("%s names %v", file, named)
		}
		for _, name := range named {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which is no metric", file, name)
			}
		}
	}
}

// Somebody is woken by each alert, and needs its entry.
func TestEachAlertHasAnEntryInTheRunBook(t *testing.T) {
	book := readText(t, "../../docs/runbook.md")
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(readText(t, deployed+"alerts.yaml"), -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(book, "\n## "+a[1]+"\n") {
			t.Errorf("the run book has no entry %s", a[1])
		}
		if !strings.Contains(readText(t, deployed+"alerts.yaml"), "docs/runbook.md#"+strings.ToLower(a[1])+"\n") {
			t.Errorf("%s does not lead to its entry", a[1])
		}
	}
	if headings := strings.Count(book, "\n## "); headings != len(alerts) {
		t.Errorf("%d entries for %d alerts", headings, len(alerts))
	}
}

func TestAlertsAsPrometheusSeesThem(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool here: ", err)
	}
	for _, args := range [][]string{{"check", "rules", deployed + "alerts.yaml"}, {"test", "rules", deployed + "alerts_test.yaml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}
