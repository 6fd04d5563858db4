package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
	"replypath/test/world"
)

// through connects from a host.
func through(from *world.Host) *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		var d net.Dialer
		from.Do(func() { c, err = d.DialContext(ctx, network, address) })
		return c, err
	}}
}

// over gives the code and the body of an answer over HTTP; the code 0: there was none. It asks from the host.
func over(t *testing.T, from *world.Host, url string, header ...string) (int, string) {
	t.Helper()
	return get(t, through(from), url, header...)
}

// get is over, by a transport of one's own.
func get(t *testing.T, by *http.Transport, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := (&http.Client{Transport: by}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

const here = "http://127.0.0.1:9717"

// hook makes a program that keeps every event it is told, a line each.
func hook(t *testing.T) (program, told string) {
	t.Helper()
	dir := t.TempDir()
	program, told = filepath.Join(dir, "program"), filepath.Join(dir, "told")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncat >>"+told+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return program, told
}

func TestOutageReachesEveryInterface(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	program, told := hook(t)
	b.configureProbes(fmt.Sprintf("on_change = [%q]", program))
	b.start()
	b.awaitUp()
	is := func(path string, want int) bool {
		code, _ := over(t, b.Gateway, here+path)
		return code == want
	}
	for _, path := range []string{"/healthz", "/readyz", "/", "/status", "/uplinks", "/uplinks/isp0", "/uplinks/isp1?family=ipv6"} {
		eventually(t, eventualTimeout, path+" is 200", func() bool { return is(path, 200) })
	}
	b.must(0, "status")
	watch := b.command(t.Context(), "status", "--watch")
	log, err := os.Create(filepath.Join(t.TempDir(), "watch"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	watch.Stdout = log
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	dead(b.Uplinks[1], true)
	eventually(t, eventualTimeout, "isp1 is 503", func() bool {
		return is("/uplinks/isp1?family=ipv4", 503) && is("/uplinks/isp1?family=ipv6", 503) && is("/uplinks/isp1", 503)
	})
	if !is("/uplinks/isp0", 200) || !is("/healthz", 200) {
		t.Error("an outage of one uplink harms the others, or the service")
	}
	_, metrics := over(t, b.Gateway, here+"/metrics")
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
	if r := b.must(3, "status"); !strings.Contains(r.stdout, "isp1") || !strings.Contains(r.stdout, "down") || !strings.Contains(r.stdout, "no answer") && !strings.Contains(r.stdout, "icmp://") {
		t.Errorf("%s", r)
	}
	eventually(t, eventualTimeout, "the program is told", func() bool {
		text, _ := os.ReadFile(told)
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
	eventually(t, eventualTimeout, "the watch has shown it", func() bool {
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

func TestEndpointWaitsForATakenPort(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	var taken net.Listener
	var err error
	b.Gateway.Do(func() { taken, err = net.Listen("tcp", "127.0.0.1:9717") })
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := b.start()
	eventually(t, eventualTimeout, "the log says who has the port", func() bool { return strings.Contains(s.log.String(), "another program has the port") })
	b.must(0, "plan")
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, eventualTimeout, "the endpoint answers", func() bool {
		code, _ := over(t, b.Gateway, here+"/healthz")
		return code == 200
	})
}

func TestEndpointFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.start()
	eventually(t, eventualTimeout, "the endpoint answers", func() bool {
		code, _ := over(t, b.Gateway, here+"/readyz")
		return code == 200
	})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(strings.Repeat("0123", 8)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := b.Uplinks[1].Port4(9717).String()
	b.configureProbes("[endpoint]", fmt.Sprintf("listen = %q", outside), fmt.Sprintf("token_file = %q", token))
	b.must(0, "reload")
	eventually(t, eventualTimeout, "it answers whoever knows the token, by that uplink", func() bool {
		code, _ := over(t, b.Client, "http://"+outside+"/readyz", "Authorization", "Bearer "+strings.Repeat("0123", 8))
		return code == 200
	})
	if code, body := over(t, b.Client, "http://"+outside+"/readyz"); code != 401 {
		t.Errorf("without the token: %d %s", code, body)
	}
	if code, body := over(t, b.Gateway, here+"/readyz"); code != 0 {
		t.Errorf("at the old address: %d %s", code, body)
	}
	b.configureProbes("[endpoint]", `listen = "off"`)
	b.must(0, "reload")
	eventually(t, eventualTimeout, "nobody answers", func() bool {
		code, _ := over(t, b.Client, "http://"+outside+"/readyz")
		return code == 0
	})
}
