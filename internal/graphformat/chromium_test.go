package graphformat

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// browser is a Chromium. It is spoken to over two pipes in the DevTools protocol: JSON that ends in a zero byte.
type browser struct {
	t        testing.TB
	in       *os.File
	out      *bufio.Reader
	id       int
	session  string
	requests []string
	problems []string // what the page wrote to the console, and what it threw
}

// newBrowser starts a browser for the test.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	testenv.Require(t, "chromium")
	fromTest, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toTest, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// not t.TempDir: processes of the browser write to it a moment longer than the browser runs
	profile, err := os.MkdirTemp("", "gantry-chromium-*")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-extensions", "--window-size=1280,800", "--remote-debugging-pipe", "--user-data-dir="+profile)
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = fromTest.Close()
	_ = toTest.Close()
	t.Cleanup(func() {
		_, _ = in.WriteString(`{"id":1000000,"method":"Browser.close"}` + "\x00")
		_ = in.Close()
		_ = cmd.Wait()
		_ = out.Close()
		cancel()
		for range 50 {
			if os.RemoveAll(profile) == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return &browser{t: t, in: in, out: bufio.NewReaderSize(out, 1<<20)}
}

// open opens a file in a tab of its own, for a test that b speaks to from now on.
func (b *browser) open(t testing.TB, file string) {
	t.Helper()
	b.t, b.session, b.requests, b.problems = t, "", nil, nil
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	b.call("Page.navigate", map[string]any{"url": (&url.URL{Scheme: "file", Path: file}).String()}, nil)
	for b.eval("document.readyState") != "complete" || !strings.HasPrefix(b.eval("location.href"), "file:") {
		time.Sleep(10 * time.Millisecond)
	}
}

// call sends a command and waits for its answer; events that come before it are noted.
func (b *browser) call(method string, params, answer any) {
	b.t.Helper()
	b.id++
	message := map[string]any{"id": b.id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		text, err := b.out.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			b.t.Fatal(err)
		}
		switch {
		case m.ID == b.id && m.Error != nil:
			b.t.Fatalf("%s: %s", method, m.Error)
		case m.ID == b.id:
			if answer != nil {
				if err := json.Unmarshal(m.Result, answer); err != nil {
					b.t.Fatal(err)
				}
			}
			return
		case m.Method == "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			_ = json.Unmarshal(m.Params, &p)
			b.requests = append(b.requests, p.Request.URL)
		case slices.Contains([]string{"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}, m.Method):
			b.problems = append(b.problems, string(m.Params))
		}
	}
}

// eval is the value of an expression as a string.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	return fmt.Sprint(answer.Result.Value)
}

// want fails unless the expression is what is said.
func (b *browser) want(expression, want string) {
	b.t.Helper()
	if got := b.eval(expression); got != want {
		b.t.Errorf("%s is %q, want %q", expression, got, want)
	}
}

// press presses keys as a person does: names such as ArrowDown, or one character.
func (b *browser) press(keys ...string) {
	b.t.Helper()
	codes := map[string]int{
		"Enter": 13, "Escape": 27, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36,
		"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9,
	}
	for _, key := range keys {
		params := map[string]any{"type": "keyDown", "key": key, "windowsVirtualKeyCode": codes[key]}
		switch {
		case key == "Enter":
			params["text"] = "\r"
		case len(key) == 1:
			params["text"] = key
		}
		b.call("Input.dispatchKeyEvent", params, nil)
		b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "windowsVirtualKeyCode": codes[key]}, nil)
	}
}

// write types a text into what has the focus.
func (b *browser) write(text string) {
	b.t.Helper()
	b.call("Input.insertText", map[string]any{"text": text}, nil)
}

// click clicks what a selector finds, or what has this text among what it finds.
func (b *browser) click(selector, text string) {
	b.t.Helper()
	var at struct{ Result struct{ Value []float64 } }
	b.call("Runtime.evaluate", map[string]any{"returnByValue": true, "expression": fmt.Sprintf(
		`(() => { const e = [...document.querySelectorAll(%q)].find((e) => e.textContent.includes(%q)); if (!e) return null;
		e.scrollIntoView({block: 'nearest'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, selector, text)}, &at)
	if len(at.Result.Value) != 2 {
		b.t.Fatalf("nothing is %s with %q", selector, text)
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{
			"type": kind, "x": at.Result.Value[0], "y": at.Result.Value[1], "button": "left", "clickCount": 1,
		}, nil)
	}
}

// picture writes what is seen to GANTRY_SCREENSHOTS, where it is set, for people.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("GANTRY_SCREENSHOTS")
	if dir == "" {
		return
	}
	var answer struct{ Data string }
	b.call("Page.captureScreenshot", nil, &answer)
	data, err := base64.StdEncoding.DecodeString(answer.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
