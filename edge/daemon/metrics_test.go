package daemon

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

// Names of metrics are a contract: operations.md and fleet.md have every one of them.
func TestEveryMetricIsDocumented(t *testing.T) {
	var text []byte
	for _, file := range []string{"operations.md", "fleet.md"} {
		part, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	documented := func(name string) bool { return strings.Contains(string(text), "`"+name+"`") }
	named, names := regexp.MustCompile(`"(edge_[a-z_]+)"`), 0
	for _, file := range []string{"metrics.go", "fleet.go", "../gauges/gauges.go", "../gauges/fleet.go", "../admin/metrics.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(source), -1) {
			if names++; !documented(m[1]) {
				t.Errorf("no document has %s", m[1])
			}
		}
	}
	if names < 30 {
		t.Errorf("%d metrics found, which are not all", names)
	}
}

func TestMetricsTellOfMastersBytesAndOfLimits(t *testing.T) {
	b := newBehindTwo(t, "")
	b.want(b.read("/edge-sample-words"), 200)
	b.edge.settle(t)
	edgetest.Until(t, "the end of the request", func() bool { return b.edge.metrics.InFlight() == 0 })
	_, metrics := b.operator("GET", "/metrics")
	for _, part := range []string{"# TYPE edge_evictions_total counter\n", "edge_disk_limit_bytes ", "edge_memory_limit_bytes 1.048576e+06\n", `edge_responses_total{class="2xx",site="npm"} `} {
		if !strings.Contains(metrics, part) {
			t.Errorf("/metrics lacks %q", part)
		}
	}
	if !regexp.MustCompile(`edge_master_first_byte_seconds_bucket\{master="[^"]*",pool="masters",site="npm",le="30"\} 1\n`).MatchString(metrics) {
		t.Errorf("no master's first byte is counted:\n%s", metrics)
	}
	if !regexp.MustCompile(`edge_master_bytes_total\{[^}]*\} [1-9]`).MatchString(metrics) {
		t.Error("no master has sent any bytes")
	}
}

// The conventions for names, units and types, as Prometheus checks them.
func TestMetricsKeepTheConventions(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool here: ", err)
	}
	b := newBehindTwo(t, "")
	b.want(b.read("/edge-sample-words"), 200)
	b.edge.settle(t)
	_, metrics := b.operator("GET", "/metrics")
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(metrics)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
