package graphformat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/graph"
)

// TestHTML has one browser for all that is done to the page.
func TestHTML(t *testing.T) {
	b := newBrowser(t)
	for _, c := range []struct {
		name  string
		test  func(*testing.T, *browser)
		steps []graph.Step
	}{
		{"large", testLarge, largePlan()},
		{"keyboard", testKeyboard, samplePlan()},
		{"themes", testThemes, samplePlan()},
		{"odd", testOdd, oddPlan()},
		{"empty", testEmpty, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "graph.html")
			if err := os.WriteFile(file, []byte(write(t, "html", c.steps, Options{Root: "/src"})), 0o644); err != nil {
				t.Fatal(err)
			}
			b.open(t, file)
			c.test(t, b)
			b.quiet()
		})
	}
}

// quiet: the page asks for nothing but itself, and nothing in it fails.
func (b *browser) quiet() {
	b.t.Helper()
	if len(b.requests) != 1 {
		b.t.Errorf("requests: %q", b.requests)
	}
	if len(b.problems) > 0 {
		b.t.Errorf("the page says %s", b.problems)
	}
}

const (
	listed = `document.getElementById('count').textContent`
	inDOM  = `document.querySelectorAll('.item').length`
	// the images that the rows in the document are of
	shown   = `[...document.querySelectorAll('.item:not(.group) .name')].map((e) => e.textContent).sort().join(' ')`
	title   = `document.querySelector('#detail h2')?.textContent`
	focused = `document.activeElement.id`
	active  = `document.getElementById(document.getElementById('list').getAttribute('aria-activedescendant')).querySelector('.name').textContent`
	height  = `document.getElementById('rows').offsetHeight / 28`
)

// testLarge is what a person does with 12,800 images: search, filter, fold, follow parents and children.
func testLarge(_ *testing.T, b *browser) {
	b.want(`document.getElementById('summary').textContent`, "12,800 images: 1,266 to build in 3 waves, 11,534 to skip")
	b.want(listed, "All 12,800 images are listed.")
	b.want(height, "80") // as many images are looked at from above
	b.want(`[...document.querySelectorAll('#causes li')].map((e) => e.textContent).join('|')`,
		"buildrepo00-v007 etc/motd changed → 1,265 images more|buildrepo79-v159 Dockerfile:7: ADD https://example.org/needle.bin has no checksum")
	b.picture("large")
	b.click("#unfold", "")
	b.want(height, "12880") // 80 groups and their images
	b.want(inDOM+" < 80", "true")

	// the end of the list, and rows that were not there before
	b.eval(`document.getElementById('list').scrollTop = 1e9; new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))`)
	b.want(`[...document.querySelectorAll('.item .name')].some((e) => e.textContent === 'repo79-v159')`, "true")
	b.want(inDOM+" < 80", "true")

	// fold and unfold
	b.click("#fold", "")
	b.want(height, "80")
	b.click(".group", "repo02")
	b.want(height, "240")
	b.want(`document.querySelectorAll('.item[aria-expanded=true]').length`, "1")
	b.want(`document.querySelectorAll('.item[aria-level="2"]').length > 10`, "true")
	b.picture("folded")
	b.click("#unfold", "")
	b.want(height, "12880")
	b.click("#fold", "")

	// search by name, by words, and by reason
	b.click("#search", "")
	b.write("repo17-v0")
	b.want(listed, "200 images of 12,800 match, 20 to build.") // those of repo17 and their children
	b.want(height, "202")
	b.write("07")
	b.want(listed, "2 images of 12,800 match, 2 to build.")
	b.want(shown, "repo17-v007 repo56-v007")
	b.write(" etc/motd")
	b.want(listed, "0 images of 12,800 match, 0 to build.")
	b.eval(`document.getElementById('search').select()`)
	b.write("NEEDLE.bin")
	b.want(shown, "repo79-v159")
	b.want(`document.querySelector('.item:not(.group) .why').textContent`, "repo00-v007 is built first (+1)")
	b.press("Enter", "ArrowDown", "Enter") // to the list, from the group to the image
	b.want(title, "repo79-v159")
	b.want(`[...document.querySelectorAll('#reasons li')].map((e) => e.textContent).join('|')`,
		"repo00-v007 is built first why?|Dockerfile:7: ADD https://example.org/needle.bin has no checksum")
	b.want(`decodeURIComponent(location.hash)`, "#repo79-v159")
	b.want(`[...document.querySelectorAll('#because li')].map((e) => e.textContent).join('|')`, "buildrepo00-v007 etc/motd changed")
	b.want(`[...document.querySelectorAll('#picture .box text')].map((e) => e.textContent).join(' ')`, "repo00-v009 repo00-v007 repo40-v159 repo79-v159")
	b.want(`document.querySelectorAll('#picture .edge').length`, "3")
	b.picture("picked")

	// a parent that the search hides is shown when it is followed
	b.click("#reasons .link", "why?")
	b.want(title, "repo00-v007")
	b.want(listed, "All 12,800 images are listed.")
	b.want(active, "repo00-v007")
	b.want(`document.getElementById('children').textContent`, "Children (1,265)")
	b.want(`document.querySelectorAll('#detail .link').length`, "100")
	b.picture("children")
	b.click("#fold", "") // so is one that is folded away
	b.click("#detail .link", "repo01-v017")
	b.want(active, "repo01-v017")
	b.want(height, "240")
	b.click("#reasons .link", "why?")
	b.click("#detail button", "List these 1,265")
	b.want(listed, "1,265 images of 12,800 match, 1,265 to build.")
	b.want(`document.getElementById('only').textContent`, "✕ only children of repo00-v007")
	b.click("#only", "")
	b.want(listed, "All 12,800 images are listed.")

	// filters, alone and together
	b.click("#decisions button", "build")
	b.want(listed, "1,266 images of 12,800 match, 1,266 to build.")
	b.click("#kinds button", "cannot be known")
	b.want(listed, "1 image of 12,800 match, 1 to build.")
	b.click("#kinds button", "a file changed")
	b.want(listed, "2 images of 12,800 match, 2 to build.")
	b.click("#reset", "")
	b.eval(`document.getElementById('group').value = 'wave'; document.getElementById('group').dispatchEvent(new Event('change'))`)
	b.click("#fold", "")
	b.want(`[...document.querySelectorAll('.item')].map((e) => e.textContent).join('|')`,
		"▸Wave 01 image, 1 to build|▸Wave 1641 images, 641 to build|▸Wave 2624 images, 624 to build|▸Skipped11,534 images, 0 to build")
	b.picture("waves")
	b.eval(`document.getElementById('group').value = 'none'; document.getElementById('group').dispatchEvent(new Event('change'))`)
	b.want(height, "12800")

	// back to the image before, by the browser's history
	b.eval(`new Promise((f) => { addEventListener('popstate', () => setTimeout(f, 20), {once: true}); history.back(); })`)
	b.want(title, "repo01-v017")
}

// testKeyboard uses no mouse.
func testKeyboard(_ *testing.T, b *browser) {
	b.want(title, "What causes the builds")
	b.want(`[...document.querySelectorAll('.group .name')].map((e) => e.textContent).join('|')`, "Wave 0|Wave 1|Wave 2|Skipped") // five repositories
	b.eval(`document.getElementById('group').value = 'repository'; document.getElementById('group').dispatchEvent(new Event('change'))`)
	b.press("/")
	b.want(focused, "search")
	b.write("app-")
	b.want(shown, "app-1 app-2 app-3")
	b.press("ArrowDown")
	b.want(focused, "list")
	b.want(active, "registry.example:5000/app")
	b.press("ArrowLeft")
	b.want(height, "1")
	b.press("ArrowRight", "ArrowRight")
	b.want(active, "app-1")
	b.press("End")
	b.want(active, "app-3")
	b.press("Home", "ArrowDown", "ArrowDown", "Enter")
	b.want(title, "app-2")
	b.want(focused, "detail")
	b.press("Escape")
	b.want(focused, "list")
	b.press("ArrowLeft")
	b.want(active, "registry.example:5000/app")
	b.press(" ")
	b.want(height, "1")
	b.want(`document.querySelector('.item').getAttribute('aria-expanded')`, "false")
	b.press("/", "Escape")
	b.want(listed, "All 7 images are listed.")
	b.press("Tab", "Tab", "Tab", "Tab", "Tab") // group, fold, unfold, reset, the first filter
	b.press("Enter")
	b.want(listed, "4 images of 7 match, 4 to build.")
	b.want(`document.activeElement.getAttribute('aria-pressed')`, "true")
}

// testThemes: both have a contrast that can be read (WCAG AA: 4.5 to 1).
func testThemes(_ *testing.T, b *browser) {
	b.eval(`document.querySelectorAll('.item:not(.group)')[0].click()`)
	const contrast = `(() => {
		const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d', {willReadFrequently: true});
		const light = (c) => { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
			const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
		const back = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c; } };
		let bad = [];
		for (const e of document.querySelectorAll('header *, #tools *, .item *, #detail *, footer *')) {
			if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.offsetParent) continue;
			const [a, b] = [light(getComputedStyle(e).color), light(back(e))].sort((x, y) => y - x);
			const ratio = (a + 0.05) / (b + 0.05);
			if (ratio < 4.5) bad.push(e.tagName + '.' + e.className + ' ' + e.textContent + ' ' + ratio.toFixed(2));
		}
		return bad.join('; ') + '|' + getComputedStyle(document.body).backgroundColor;
	})()`
	for _, c := range []struct{ system, chosen, want string }{
		{"light", "light dark", "|rgb(255, 255, 255)"},
		{"dark", "light dark", "|rgb(22, 24, 28)"},
		{"light", "dark", "|rgb(22, 24, 28)"},
		{"dark", "light", "|rgb(255, 255, 255)"},
	} {
		b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": c.system}}}, nil)
		b.eval(`document.getElementById('theme').value = '` + c.chosen + `'; document.getElementById('theme').dispatchEvent(new Event('change'))`)
		b.want(contrast, c.want)
		b.picture("system-" + c.system + "-" + strings.ReplaceAll(c.chosen, " ", "-"))
	}
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": true}, nil)
	b.want(`document.documentElement.scrollWidth <= 390`, "true")
	b.picture("narrow")
}

// testOdd: names are text, whatever is in them, and the address of an image is its name.
func testOdd(t *testing.T, b *browser) {
	b.eval(`document.getElementById('group').value = 'none'; document.getElementById('group').dispatchEvent(new Event('change'))`)
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": 1280, "height": 3600, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.eval(`new Promise((f) => { const all = () => document.querySelectorAll('.item').length === ` + strconv.Itoa(len(odd)) +
		` ? f() : requestAnimationFrame(all); all(); })`)
	var got []string
	names := b.eval(`JSON.stringify([...document.querySelectorAll('.item')].sort((a, b) => a.offsetTop - b.offsetTop).map((e) => e.querySelector('.name').textContent))`)
	if err := json.Unmarshal([]byte(names), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(odd) {
		t.Fatalf("%d names, want %d", len(got), len(odd))
	}
	number := regexp.MustCompile(`<U\+([0-9A-F]{4})>`)
	for i, name := range odd {
		if want := printableInPage(name); got[i] != want {
			t.Errorf("got %q, want %q", got[i], want)
		}
		if strings.ContainsAny(number.ReplaceAllString(got[i], ""), "\x00\x1b\u202e\n") {
			t.Errorf("%q has a character that changes others", got[i])
		}
		if name == "" {
			continue
		}
		b.eval(`document.querySelectorAll('.item').length; document.getElementById('row` + strconv.Itoa(i) + `').click()`)
		b.want(title, printableInPage(name))
		b.want(`document.querySelector('#reasons li').textContent`, printableInPage("the argument "+name+" changed"))
	}
	b.picture("odd")
}

// testEmpty: a plan of nothing is a page that says so.
func testEmpty(_ *testing.T, b *browser) {
	b.want(`document.getElementById('summary').textContent`, "0 images: 0 to build in 0 waves, 0 to skip")
	b.want(inDOM, "0")
	b.press("/", "x")
	b.want(listed, "All 0 images are listed.")
	b.press("ArrowDown", "ArrowDown", "Enter")
	b.want(focused, "list")
}

// TestHTML_selfContained needs no browser: no address is in the page but those of the plan.
func TestHTML_selfContained(t *testing.T) {
	text := write(t, "html", largePlan()[:2], Options{})
	for _, word := range []string{"http:", "https:", "//cdn", "@import", "src=", "<link rel=\"stylesheet", "innerHTML", "eval("} {
		if strings.Contains(text, word) {
			t.Errorf("the page has %q", word)
		}
	}
	for _, tag := range []string{"<script", "</script", "<style", "</style"} {
		want := map[bool]int{true: 2, false: 1}[strings.Contains(tag, "script")]
		if got := strings.Count(write(t, "html", oddPlan(), Options{}), tag); got != want {
			t.Errorf("%s stands %d times, want %d", tag, got, want)
		}
	}
	if size := len(write(t, "html", largePlan(), Options{})); size > 8<<20 {
		t.Errorf("the page of 12,800 images has %d bytes", size)
	}
}

// printableInPage is a name as the page shows it.
func printableInPage(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x2069, r == 0xfeff:
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
