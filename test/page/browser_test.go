package page

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserTimeout bounds each answer of Chromium's, on any machine.
const browserTimeout = 2 * time.Minute

// browser is a page in Chromium without a window. It collects the events that wantNoErrorsOrForeignRequests looks at.
type browser struct {
	t       *testing.T
	ctx     context.Context
	session cdp.Session
	mu      sync.Mutex
	events  map[string][]json.RawMessage // by their method, in their order
}

// newBrowser starts Chromium with an empty page. It ends with the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	home := t.TempDir()
	var output bytes.Buffer
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(home), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.CombinedOutput(&output),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.ModifyCmdFunc(killWithChildren))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closePage := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closePage()
		stop()
		chromedp.FromContext(ctx).Allocator.Wait()
	})
	session, err := chromedp.Run(ctx, func(_ context.Context, target *chromedp.Target) (cdp.Session, error) { return target, nil })
	if err != nil {
		t.Fatalf("the browser does not start: %v\n%s", err, output.String())
	}
	b := &browser{t: t, ctx: ctx, session: session, events: map[string][]json.RawMessage{}}
	for _, method := range []string{"Log.entryAdded", "Runtime.exceptionThrown", "Audits.issueAdded", "Runtime.consoleAPICalled", "Network.requestWillBeSent"} {
		b.collect(method)
	}
	call(b, audits.Enable, cdp.Empty{})
	return b
}

// chromium returns the path of the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "headless_shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: make needs installs it")
	return ""
}

// killWithChildren puts the browser into a process group of its own, all of which is killed in the end.
func killWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// collect keeps the events of a method from now on.
func (b *browser) collect(method string) {
	events, cancel := b.session.Subscribe(method)
	b.t.Cleanup(cancel)
	go func() {
		for e := range events {
			b.mu.Lock()
			b.events[method] = append(b.events[method], json.RawMessage(e))
			b.mu.Unlock()
		}
	}()
}

// call sends a command to the browser, and returns its result.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserTimeout)
	defer cancel()
	result, err := cdp.Call(ctx, b.session, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// visit opens a page in a window of a width in pixels, on a host whose prefers-color-scheme is light or dark. It does not wait
// for the page.
func (b *browser) visit(url string, width int, scheme string) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(width), Height: 900, DeviceScaleFactor: 1, Mobile: width < 600})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	call(b, page.Navigate, page.NavigateParams{URL: url})
}

// value returns the value of an expression in the page, as JSON, or the exception that it throws.
func (b *browser) value(expression string) string {
	b.t.Helper()
	yes := true
	got := call(b, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, ReturnByValue: &yes, AwaitPromise: &yes})
	if got.ExceptionDetails != nil {
		return "thrown: " + got.ExceptionDetails.Text
	}
	return string(got.Result.Value)
}

// await waits until an expression has a value in the page.
func (b *browser) await(expression, want string) {
	b.t.Helper()
	got := ""
	for end := time.Now().Add(browserTimeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = b.value(expression); got == want {
			return
		}
	}
	b.t.Fatalf("%s is %s, not %s; thrown was %s", expression, got, want, b.collected("Runtime.exceptionThrown"))
}

// is reports an error when an expression does not have a value in the page.
func (b *browser) is(expression, want string) {
	b.t.Helper()
	if got := b.value(expression); got != want {
		b.t.Errorf("%s is %s, not %s", expression, got, want)
	}
}

// collected returns the events of a method so far.
func (b *browser) collected(method string) []json.RawMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]json.RawMessage(nil), b.events[method]...)
}

// picture returns the whole page as a PNG.
func (b *browser) picture() []byte {
	b.t.Helper()
	yes := true
	return call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: "png", CaptureBeyondViewport: &yes}).Data
}
