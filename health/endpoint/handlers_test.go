package endpoint

import (
	"encoding/json"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

func TestHealthzAndReadyzStateTheProblem(t *testing.T) {
	s := openServer(t)
	if code, body := s.get(t, "/healthz"); code != 200 || body != "healthy\n" {
		t.Errorf("healthy: %d %q", code, body)
	}
	if code, body := s.get(t, "/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("ready: %d %q", code, body)
	}
	s.update(func(h *health.Status) {
		h.Healthy, h.Ready, h.Problems = false, false, []string{"the loop has not come by for 40s", "not in sync"}
	})
	if code, body := s.get(t, "/healthz"); code != 503 || body != "not healthy\nthe loop has not come by for 40s\nnot in sync\n" {
		t.Errorf("not healthy: %d %q", code, body)
	}
	if code, body := s.get(t, "/readyz"); code != 503 || body != "not ready: the configuration has not been applied yet\n" {
		t.Errorf("not ready: %d %q", code, body)
	}
}

func TestUplinkReturns200OnlyWhenUp(t *testing.T) {
	s := openServer(t)
	s.update(func(h *health.Status) {
		h.Uplinks = append(h.Uplinks,
			health.UplinkStatus{Name: "half", State: health.Down, Families: []health.FamilyStatus{
				{Family: uplinks.IPv4, State: health.Up}, {Family: uplinks.IPv6, State: health.Down, Reason: "no carrier"}}},
			health.UplinkStatus{Name: "four", State: health.Up, Families: []health.FamilyStatus{{Family: uplinks.IPv4, State: health.Up, Verdict: health.ProofCheck{Result: health.Unknown, Cause: health.NoAnswer}}}})
	})
	for path, want := range map[string]int{
		"/uplinks/up": 200, "/uplinks/unproven": 503, "/uplinks/down": 503, "/uplinks/absent": 503,
		"/uplinks/half": 503, "/uplinks/half?family=ipv4": 200, "/uplinks/half?family=ipv6": 503,
		"/uplinks/half?family=ipx": 400, "/uplinks/half?family=": 400,
		"/uplinks/four": 200, "/uplinks/four?family=ipv4": 200, "/uplinks/four?family=ipv6": 404,
		"/uplinks/other": 404, "/uplinks/": 404, "/uplinks/up/more": 404,
	} {
		if code, body := s.get(t, path); code != want {
			t.Errorf("%s: %d, not %d: %s", path, code, want, body)
		}
	}
	_, body := s.get(t, "/uplinks/four")
	expectContains(t, body, `"result": "unknown"`, `"cause": "no-answer"`)
	_, body = s.get(t, "/uplinks/other")
	expectContains(t, body, `"other"`, "up, unproven, down, absent, half, four")
	_, body = s.get(t, "/uplinks/half?family=ipv6")
	var u uplinkDocument
	if err := json.Unmarshal([]byte(body), &u); err != nil || u.Version != health.StatusVersion || u.State != health.Down || len(u.Families) != 1 || u.Families[0].Reason != "no carrier" {
		t.Errorf("%v in %s", err, body)
	}
	expectContains(t, body, `"history": []`, `"probes": []`)
}

func TestUplinksAreListed(t *testing.T) {
	s := openServer(t)
	_, body := s.get(t, "/uplinks")
	var all uplinkList
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all.Uplinks) != 4 || all.Uplinks[2].State != health.Down || len(all.Uplinks[2].Families) != 2 {
		t.Errorf("%v in %s", err, body)
	}
}

func TestAnswersSayHowOldTheyAre(t *testing.T) {
	s := openServer(t)
	now := time.Now()
	s.update(func(h *health.Status) { h.At, h.LastRound = now, now.Add(-7*time.Second) })
	for _, path := range []string{"/healthz", "/status"} {
		if _, _, header := s.request(t, "GET", path); header.Get("Age") != "7" {
			t.Errorf("%s: the kernel was read 7 seconds ago, Age is %q", path, header.Get("Age"))
		}
	}
}

func TestStatusHasNoNulls(t *testing.T) {
	s := openServer(t)
	s.Add(health.Event{Kind: "state", Uplink: "up", Text: "<script>"})
	code, body, header := s.request(t, "GET", "/status")
	var got health.Status
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
		t.Fatalf("%d %v", code, err)
	}
	if got.Version != health.StatusVersion || got.Changes != 12 || len(got.Uplinks) != 4 || len(got.Events) != 1 {
		t.Errorf("%+v", got)
	}
	expectContains(t, header.Get("Content-Type"), "application/json")
	s.update(func(h *health.Status) { *h = health.Status{} })
	_, body = s.get(t, "/status")
	expectContains(t, body, `"uplinks": []`, `"problems": []`, `"repairs": {}`)
}

func TestOnlyGETAndHEADAreAllowed(t *testing.T) {
	s := openServer(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
		if code, _, header := s.request(t, method, "/status"); code != 405 || header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, allowed are %q", method, code, header.Get("Allow"))
		}
	}
	for _, path := range []string{"/", "/healthz", "/readyz", "/status", "/uplinks", "/uplinks/up", "/metrics", "/events"} {
		code, body, header := s.request(t, "HEAD", path)
		if code != 200 || body != "" || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Content-Security-Policy") == "" {
			t.Errorf("HEAD %s: %d %q %v", path, code, body, header)
		}
	}
	if code, body := s.get(t, "/debug/pprof/"); code != 404 {
		t.Errorf("unknown path: %d %s", code, body)
	}
}
