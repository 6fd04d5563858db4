package page

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"replypath/health"
	"replypath/health/endpoint"
	"replypath/uplinks"
)

// picturesVariable names the environment variable that has the page's pictures written into that folder, to be looked at:
//
//	REPLYPATH_PICTURES=/tmp go test -run Page ./test/page
const picturesVariable = "REPLYPATH_PICTURES"

// pageSource is what the page under test shows.
type pageSource struct {
	health.EventLog
	mu     sync.Mutex
	status health.Status
}

func (s *pageSource) Status() health.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status.WithoutNulls() // a copy
	status.Events = s.Events()
	return status
}

func (s *pageSource) write(change func(*health.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// serve serves the endpoint until stop, at the address.
func (s *pageSource) serve(t *testing.T, at string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	server := endpoint.New(slog.New(slog.DiscardHandler), health.EndpointSettings{Listen: netip.MustParseAddrPort(at)}, s, nil)
	go func() {
		defer close(ended)
		_ = server.Serve(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return stop
}

// freePort returns an address on loopback without a listener.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newPageSource() *pageSource {
	now := time.Now()
	s := &pageSource{status: pageStatus(now)}
	pageEvents(&s.EventLog, now)
	return s
}

func reachable(t *testing.T, at string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return
		}
	}
	t.Fatal("the endpoint does not answer")
}

func TestPageShowsEachUplink(t *testing.T) {
	s, at := newPageSource(), freePort(t)
	s.serve(t, at)
	reachable(t, at)
	b := newBrowser(t)
	grounds := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{390, 1280} {
			b.visit("http://"+at+"/", width, scheme)
			b.await(`document.querySelectorAll("article.card").length`, "4")
			b.is(`[...document.querySelectorAll("article.card")].map(c => c.dataset.uplink + " " + c.dataset.state).join()`, `"fibre unproven,lte up,dsl down,backup absent"`)
			b.is(`document.querySelectorAll(".chart svg polyline.mean").length`, "4")
			b.is(`document.querySelectorAll(".chart svg rect.hit title").length`, "240")
			b.is(`document.querySelectorAll('[data-uplink="dsl"] svg rect.lost').length`, "12")
			b.is(`document.querySelectorAll('[data-uplink="fibre"] svg rect.lost').length`, "0")
			b.is(`document.querySelector("h1").textContent`, `"dsl is down, backup is absent, fibre is unproven"`)
			b.is(`["rule 1500", "rule-shadowed", "Remedy: give that rule a priority", "14 stray", "23\u202f%", "Degraded", "Held down", "number 29"].filter(w => !document.body.innerText.includes(w)).join()`, `""`)
			b.is(`document.querySelectorAll("[data-event]").length`, "20")
			b.is(`document.querySelector('[data-policy="balanced ipv4"]').innerText.replace(/\s+/g, " ")`, `"balanced IPv4 2 dsl down, 0 connections lte 100 %, 12004 connections dsl is down 12 min"`)
			b.is(`[document.querySelector('[data-policy="balanced ipv6"] .bad').innerText, document.querySelector(".outbound li").innerText.includes("dsl IPv4: 4090 connections and 3 of this host moved: it is down <img src=x>")]`, `["unreachable",true]`)
			b.is(`[...document.querySelectorAll("[data-proxy]")].map(p => p.dataset.proxy + " " + p.dataset.state).join()`, `"web ipv4 listening,web ipv6 not-answering,dns ipv4 nobody"`)
			b.is(`["Transparent proxies", "tcp 50080", "does not answer: new connections pass for 4\u202fmin", "no answer within 1s", "no program listens: new connections are dropped"].filter(w => !document.body.innerText.includes(w)).join()`, `""`)
			b.is(`[...document.querySelectorAll('[data-uplink="lte"] [data-router]')].map(r => r.innerText.replace(/\s+/g, " ")).join("; ")`, `"02:00:00:0a:03:01 192.0.2.12, fe80::12 1,234 1 s ago; 02:00:00:0a:03:02 1 \u2013"`)
			b.is(`document.querySelectorAll("[data-router]").length`, "2")
			// Nothing is cut off on the right.
			b.is(fmt.Sprintf(`[...document.querySelectorAll("html, body, body :not(svg *)")].filter(e => e.getBoundingClientRect().right > %d.5).length`, width), "0")
			b.is(`document.getElementById("link").hidden`, "true")
			grounds[scheme] = b.value(`getComputedStyle(document.body).backgroundColor`)
			if faint := b.value(faintText); faint != "[]" {
				t.Errorf("%s: too faint to read: %s", scheme, faint)
			}
			png := b.picture()
			if dir := os.Getenv(picturesVariable); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("page-%s-%d.png", scheme, width)), png, 0o644); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if grounds["light"] == grounds["dark"] {
		t.Errorf("light and dark are the same: %v", grounds)
	}
	wantNoErrorsOrForeignRequests(t, b, at)
}

// faintText are the texts whose contrast with what is behind them is below 4.5, as WCAG 2 measures it.
const faintText = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
	const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const behind = e => { const layers = []; for (; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor)); return layers.reduce((under, c) => over(c, under), [255, 255, 255, 1]); };
	return [...document.querySelectorAll("body *")].filter(e => !e.closest("svg, script, style, noscript") && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
		const ground = behind(e), a = light(over(parse(getComputedStyle(e).color), ground)), b = light(ground);
		return [e.className || e.tagName, +((Math.max(a, b) + .05) / (Math.min(a, b) + .05)).toFixed(2)];
	}).filter(x => x[1] < 4.5);
})()`

// wantNoErrorsOrForeignRequests wants no error in the page, and no request to another server.
func wantNoErrorsOrForeignRequests(t *testing.T, b *browser, at string) {
	t.Helper()
	b.is(`[document.title.includes("caught"), document.getElementById("caught")]`, `[false,null]`)
	for _, method := range []string{"Log.entryAdded", "Runtime.exceptionThrown", "Audits.issueAdded", "Runtime.consoleAPICalled"} {
		for _, e := range b.collected(method) {
			t.Errorf("%s: %s", method, e)
		}
	}
	fetched := b.collected("Network.requestWillBeSent")
	for _, e := range fetched {
		var r struct{ Request struct{ URL string } }
		if err := json.Unmarshal(e, &r); err != nil {
			t.Fatal(err)
		}
		if url := r.Request.URL; url != "http://"+at+"/" && url != "http://"+at+"/events" && !strings.HasPrefix(url, "data:") {
			t.Errorf("it fetched %s", url)
		}
	}
	if len(fetched) == 0 {
		t.Error("nothing was noted")
	}
}

func TestPageIsLive(t *testing.T) {
	s, at := newPageSource(), freePort(t)
	stop := s.serve(t, at)
	reachable(t, at)
	b := newBrowser(t)
	b.visit("http://"+at+"/", 1280, "light")
	b.await(`document.querySelectorAll("article.card").length`, "4")
	b.is(`window.keptCard = document.querySelector('[data-uplink="lte"]'), window.keptChart = keptCard.querySelector("svg"), true`, "true")
	// A pulse brings what is measured, and keeps the history.
	s.write(func(h *health.Status) { h.Changes = 4321 })
	b.await(`document.querySelector(".facts").innerText.includes("4321")`, "true")
	b.is(`[document.querySelectorAll(".chart svg polyline.mean").length, document.querySelectorAll("[data-event]").length]`, "[4,20]")
	// An event brings everything.
	s.write(func(h *health.Status) {
		h.Uplinks[1].State, h.Uplinks[1].Families[0].State = health.Down, health.Down
		h.Uplinks = h.Uplinks[:3]
		h.Proxies[0].State, h.Proxies = uplinks.ProxyNobody, h.Proxies[:1]
	})
	s.Add(health.Event{Kind: "state", Text: "lte IPv4 is down: no carrier"})
	b.await(`document.querySelector("[data-event]").innerText.includes("no carrier")`, "true")
	b.await(`[document.querySelectorAll("article.card").length, document.querySelector('[data-uplink="lte"]').dataset.state]`, `[3,"down"]`)
	b.is(`[...document.querySelectorAll("[data-proxy]")].map(p => p.dataset.state).join()`, `"nobody"`)
	b.is(`[keptCard === document.querySelector('[data-uplink="lte"]'), keptCard.contains(keptChart)]`, "[true,true]")
	b.is(`document.querySelector("button").click(), document.querySelectorAll("[data-event]").length`, "33")
	wantNoErrorsOrForeignRequests(t, b, at)
	stop()
	b.await(`document.getElementById("link").textContent.startsWith("Connection lost, retrying")`, "true")
	b.is(`[document.getElementById("link").hidden, document.querySelectorAll("article.card").length]`, "[false,3]")
	s.write(func(h *health.Status) {
		h.InSync, h.Healthy, h.Problems = false, false, []string{"the kernel is not in sync"}
	})
	s.serve(t, at)
	b.await(`document.getElementById("link").hidden`, "true")
	b.await(`document.querySelector(".problems").innerText`, `"the kernel is not in sync"`)
}
