package chromium

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// limit is how long the browser may take for a command.
const limit = time.Minute

// Browser is a running browser.
type Browser struct {
	t   testing.TB
	in  io.Writer
	log bytes.Buffer // of the browser; complete when it has ended

	mu      sync.Mutex
	last    int
	replies map[int]chan reply
	tabs    map[string]*Tab // by session
	ended   error
}

// reply is a message of the browser: an answer to a command, or an event.
type reply struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Find returns the browser's program, "" for none. CHROMIUM names another one.
func Find() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	return ""
}

// Start runs a browser until the test ends. The only host that it can find is 127.0.0.1.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := Find()
	if program == "" {
		t.Skip("SKIPPED: there is no Chromium here (Debian: apt install chromium), so the page was not looked at")
	}
	toIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, in: in, replies: make(map[int]chan reply), tabs: make(map[string]*Tab)}
	cmd := exec.Command(program, "--headless=new", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "--no-sandbox", "--no-first-run",
		"--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
		"--disable-extensions", "--disable-sync", "--metrics-recording-only", "--hide-scrollbars", "--force-color-profile=srgb",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank")
	cmd.ExtraFiles = []*os.File{toIn, fromOut} // 3 and 4
	cmd.Stderr = &b.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toIn.Close()
	fromOut.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(out)
	}()
	t.Cleanup(func() {
		in.Close() // on which it ends
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		out.Close()
		<-read
	})
	return b
}

// read takes messages until the browser ends.
func (b *Browser) read(out io.Reader) {
	messages := bufio.NewReader(out)
	for {
		text, err := messages.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.ended = fmt.Errorf("the browser has ended: %w", err)
			for _, c := range b.replies {
				close(c)
			}
			b.replies = nil
			b.mu.Unlock()
			return
		}
		var m reply
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.replies[m.ID]; m.ID != 0 && c != nil {
			delete(b.replies, m.ID)
			c <- m // it has room
		} else if tab := b.tabs[m.Session]; tab != nil {
			tab.note(m)
		}
		b.mu.Unlock()
	}
}

// call sends a command, and decodes the answer into result, which may be nil.
func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	c := make(chan reply, 1)
	b.mu.Lock()
	ended := b.ended
	b.last++
	id := b.last
	if ended == nil {
		b.replies[id] = c
	}
	b.mu.Unlock()
	if ended != nil {
		b.t.Fatal(ended)
	}
	command := map[string]any{"id": id, "method": method, "params": params}
	if session != "" {
		command["sessionId"] = session
	}
	text, err := json.Marshal(command)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case m, ok := <-c:
		switch {
		case !ok:
			b.t.Fatalf("%s: the browser has ended", method)
		case m.Error != nil:
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		case result != nil:
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v in %s", method, err, m.Result)
			}
		}
	case <-time.After(limit):
		b.t.Fatalf("%s: no answer in %s", method, limit)
	}
}
