package chromium

import (
	"os"
	"path/filepath"
	"runtime"
)

// axeCore returns the rules of accessibility, in the file that "make axe" fetches; "" where nobody has.
// AXE_CORE names another file.
func axeCore() string {
	_, here, _, _ := runtime.Caller(0)
	for _, name := range []string{os.Getenv("AXE_CORE"), filepath.Join(filepath.Dir(here), "axe", "axe.min.js"), filepath.Join("..", "edgetest", "chromium", "axe", "axe.min.js")} {
		if text, err := os.ReadFile(name); err == nil {
			return string(text)
		}
	}
	return ""
}

// Violations runs the rules of axe-core on the page as it is, and lists the elements that break them. checked is
// false where the rules are not there.
func (t *Tab) Violations() (all []string, checked bool) {
	t.t.Helper()
	rules := axeCore()
	if rules == "" {
		t.t.Log("SKIPPED: axe-core is not here (make axe), so the rules of accessibility were not checked")
		return nil, false
	}
	t.Eval(rules+"\n;0", nil)
	t.Eval(`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`, &all)
	return all, true
}
