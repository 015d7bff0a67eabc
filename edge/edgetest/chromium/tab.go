package chromium

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// View is how a page is looked at.
type View struct {
	Name          string
	Width, Height int
	Dark          bool
	Still         bool // the person prefers reduced motion
	Phone         bool
	Scale         float64 // 0 for 1
}

// Tab is an open page.
type Tab struct {
	*Browser
	session string
	target  string

	requests   []string // URLs; guarded by Browser.mu
	complaints []string // of the console; guarded by Browser.mu
}

// Open opens a page.
func (b *Browser) Open(url string, v View) *Tab {
	b.t.Helper()
	var target struct{ TargetID, SessionID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	t := &Tab{Browser: b, session: target.SessionID, target: target.TargetID}
	b.mu.Lock()
	b.tabs[t.session] = t
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		t.do(domain+".enable", map[string]any{}, nil)
	}
	t.Look(v)
	t.do("Page.navigate", map[string]any{"url": url}, nil)
	return t
}

// Close closes the page.
func (t *Tab) Close() {
	t.t.Helper()
	t.call("", "Target.closeTarget", map[string]any{"targetId": t.target}, nil)
}

// Look changes how the page is looked at.
func (t *Tab) Look(v View) {
	t.t.Helper()
	scheme, motion := "light", "no-preference"
	if v.Dark {
		scheme = "dark"
	}
	if v.Still {
		motion = "reduce"
	}
	t.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion},
	}}, nil)
	t.do("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": v.Width, "height": v.Height, "deviceScaleFactor": max(v.Scale, 1), "mobile": v.Phone,
	}, nil)
}

func (t *Tab) do(method string, params, result any) {
	t.t.Helper()
	t.call(t.session, method, params, result)
}

// note takes an event. Browser.mu is held.
func (t *Tab) note(m reply) {
	var is struct {
		Request          struct{ URL string }
		Entry            struct{ Level, Text, URL string }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Type string
		Args []struct{ Value, Description any }
	}
	_ = json.Unmarshal(m.Params, &is)
	switch m.Method {
	case "Network.requestWillBeSent":
		t.requests = append(t.requests, is.Request.URL)
	case "Log.entryAdded":
		if is.Entry.Level == "error" || is.Entry.Level == "warning" {
			t.complaints = append(t.complaints, is.Entry.Text+" "+is.Entry.URL)
		}
	case "Runtime.exceptionThrown":
		t.complaints = append(t.complaints, is.ExceptionDetails.Text+" "+is.ExceptionDetails.Exception.Description)
	case "Runtime.consoleAPICalled":
		if is.Type == "error" || is.Type == "warning" {
			t.complaints = append(t.complaints, fmt.Sprint(is.Type, is.Args))
		}
	}
}

// Requests lists the URLs that the page has asked for.
func (t *Tab) Requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

// Complaints lists the errors and warnings of the console: those of scripts, and of a page's
// policy.
func (t *Tab) Complaints() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.complaints)
}

// Eval evaluates an expression in the page, awaits it, and decodes its value into result, which may be
// nil.
func (t *Tab) Eval(expression string, result any) {
	t.t.Helper()
	var is struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	t.do("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &is)
	if is.ExceptionDetails != nil {
		t.t.Fatalf("%.200s: %s %s", expression, is.ExceptionDetails.Text, is.ExceptionDetails.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(is.Result.Value, result); err != nil {
		t.t.Fatalf("%.200s: %v in %s", expression, err, is.Result.Value)
	}
}

// Text is the text that a person sees of the first element of a selector, "" for none.
func (t *Tab) Text(selector string) (text string) {
	t.t.Helper()
	t.Eval("(document.querySelector("+quoted(selector)+") || {}).innerText || ''", &text)
	return text
}

// Until waits for a condition of the page.
func (t *Tab) Until(event, condition string) {
	t.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		var is bool
		t.Eval("(() => { try { return !!("+condition+") } catch { return false } })()", &is) // the page may not be there yet
		if is {
			return
		}
		if time.Now().After(deadline) {
			t.t.Fatalf("waited for %s: %s. The page says:\n%.3000s\n%v", event, condition, t.Text("body"), t.Complaints())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Press sends a key to the page, such as "Tab" or "Enter".
func (t *Tab) Press(key string) {
	t.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27}
	for _, phase := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": phase, "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
		if key == "Enter" && phase == "keyDown" {
			params["text"] = "\r"
		}
		t.do("Input.dispatchKeyEvent", params, nil)
	}
}

// Type types a text where the focus is.
func (t *Tab) Type(text string) {
	t.t.Helper()
	t.do("Input.insertText", map[string]any{"text": text}, nil)
}

// Screenshot is the whole page as PNG, or its top where height is not 0.
func (t *Tab) Screenshot(height int) (png []byte) {
	t.t.Helper()
	var page struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	t.do("Page.getLayoutMetrics", map[string]any{}, &page)
	size := page.CSSContentSize
	if height > 0 {
		size.Height = min(size.Height, float64(height))
	}
	var shot struct{ Data []byte }
	t.do("Page.captureScreenshot", map[string]any{
		"format": "png", "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": size.Width, "height": size.Height, "scale": 1},
	}, &shot)
	return shot.Data
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // of a string
	return string(b)
}
