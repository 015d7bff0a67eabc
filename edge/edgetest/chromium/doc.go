// Package chromium drives a real browser, headless, for tests of pages: over its
// DevTools protocol, through a pipe. A test is skipped, and says so, where there is no
// browser.
//
//   - browser.go: [Start] runs the browser, and sends it commands
//   - tab.go: [Tab] opens a page in a size, and looks at it
//
// The lock of a Browser guards replies and events; nothing is called under it.
package chromium
