package service

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

const endpointURL = "http://127.0.0.1:9717"

// hook makes a program that appends every event to a file, a line each.
func hook(t *testing.T) (program, events string) {
	t.Helper()
	dir := t.TempDir()
	program, events = filepath.Join(dir, "program"), filepath.Join(dir, "events")
	world.WriteProgram(t, program, []byte("#!/bin/sh\ncat >>"+events+"\n"), 0o755)
	return program, events
}

func TestOutageReachesEveryInterface(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	program, events := hook(t)
	b.ConfigureProbes(fmt.Sprintf("on_change = [%q]", program))
	b.Start()
	b.AwaitUp()
	is := func(path string, want int) bool {
		code, _ := box.GetFrom(t, b.Gateway, endpointURL+path)
		return code == want
	}
	for _, path := range []string{"/healthz", "/readyz", "/", "/status", "/uplinks", "/uplinks/isp0", "/uplinks/isp1?family=ipv6"} {
		box.Eventually(t, box.EventualTimeout, path+" is 200", func() bool { return is(path, 200) })
	}
	b.Must(0, "status")
	watch := b.Command(t.Context(), "status", "--watch")
	log, err := os.Create(filepath.Join(t.TempDir(), "watch"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	watch.Stdout = log
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	box.SetBlackHole(b.Uplinks[1], true)
	box.Eventually(t, box.EventualTimeout, "isp1 is 503", func() bool {
		return is("/uplinks/isp1?family=ipv4", 503) && is("/uplinks/isp1?family=ipv6", 503) && is("/uplinks/isp1", 503)
	})
	if !is("/uplinks/isp0", 200) || !is("/healthz", 200) {
		t.Error("an outage of one uplink affects the others, or the service")
	}
	wantOutageMetrics(t, b)
	if r := b.Must(3, "status"); !strings.Contains(r.Stdout, "isp1") || !strings.Contains(r.Stdout, "down") || !strings.Contains(r.Stdout, "no answer") && !strings.Contains(r.Stdout, "icmp://") {
		t.Errorf("%s", r)
	}
	awaitHookEvent(t, events)
	box.Eventually(t, box.EventualTimeout, "the watch has shown it", func() bool {
		text, _ := os.ReadFile(log.Name())
		return strings.Count(string(text), "UPLINK") > 1 && strings.Contains(string(text), "down")
	})
	if err := watch.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("an interrupted watch: %v", err)
	}
}

// wantOutageMetrics wants metrics of isp0 up and isp1 down.
func wantOutageMetrics(t *testing.T, b *box.Box) {
	t.Helper()
	_, metrics := box.GetFrom(t, b.Gateway, endpointURL+"/metrics")
	for uplink, want := range map[string]string{"isp0": "1", "isp1": "0"} {
		u := b.Uplinks[map[string]int{"isp0": 0, "isp1": 1}[uplink]]
		line := fmt.Sprintf(`replypath_uplink_up{family="ipv4",interface=%q,uplink=%q} %s`, u.Link.Name, uplink, want)
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	if !strings.Contains(metrics, `replypath_probe_rtt_seconds_count{family="ipv4"`) || !strings.Contains(metrics, "replypath_in_sync 1\n") {
		t.Errorf("metrics:\n%s", metrics)
	}
}

// awaitHookEvent waits until the program of on_change has appended the event of the outage of isp1 to the file.
func awaitHookEvent(t *testing.T, file string) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "the program gets the event", func() bool {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if !strings.HasSuffix(line, "\n") {
				continue // it is being written
			}
			var e health.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if e.Kind == "state" && e.Uplink == "isp1" && e.From == "up" && e.To == "down" {
				return true
			}
		}
		return false
	})
}

func TestEndpointWaitsForATakenPort(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	var taken net.Listener
	var err error
	b.Gateway.Do(func() { taken, err = net.Listen("tcp", "127.0.0.1:9717") })
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := b.Start()
	box.Eventually(t, box.EventualTimeout, "the log says who has the port", func() bool { return strings.Contains(s.Log.String(), "another program uses the port") })
	b.Must(0, "plan")
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, box.EventualTimeout, "the endpoint answers", func() bool {
		code, _ := box.GetFrom(t, b.Gateway, endpointURL+"/healthz")
		return code == 200
	})
}

func TestEndpointFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Start()
	box.Eventually(t, box.EventualTimeout, "the endpoint answers", func() bool {
		code, _ := box.GetFrom(t, b.Gateway, endpointURL+"/readyz")
		return code == 200
	})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(strings.Repeat("0123", 8)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := b.Uplinks[1].Port4(9717).String()
	b.ConfigureProbes("[endpoint]", fmt.Sprintf("listen = %q", outside), fmt.Sprintf("token_file = %q", token))
	b.Must(0, "reload")
	box.Eventually(t, box.EventualTimeout, "requests with the token are answered, by that uplink", func() bool {
		code, _ := box.GetFrom(t, b.Client, "http://"+outside+"/readyz", "Authorization", "Bearer "+strings.Repeat("0123", 8))
		return code == 200
	})
	if code, body := box.GetFrom(t, b.Client, "http://"+outside+"/readyz"); code != 401 {
		t.Errorf("without the token: %d %s", code, body)
	}
	if code, body := box.GetFrom(t, b.Gateway, endpointURL+"/readyz"); code != 0 {
		t.Errorf("at the old address: %d %s", code, body)
	}
	b.ConfigureProbes("[endpoint]", `listen = "off"`)
	b.Must(0, "reload")
	box.Eventually(t, box.EventualTimeout, "the endpoint is closed", func() bool {
		code, _ := box.GetFrom(t, b.Client, "http://"+outside+"/readyz")
		return code == 0
	})
}
