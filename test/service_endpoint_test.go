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
	"testing"

	"replypath/health"
	"replypath/test/world"
)

// get asks the gateway's endpoint, from the gateway itself.
func (b *box) get(path string) (status int, body string) {
	b.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, network, address string) (c net.Conn, err error) {
		b.Gateway.Do(func() { c, err = net.Dial(network, address) })
		return c, err
	}}}
	answer, err := client.Get("http://127.0.0.1:9717" + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestTheServiceAnswersAtItsEndpoint(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.watched()
	b.start()
	b.awaitUp()
	want := func(path string, status int) string {
		t.Helper()
		is, body := b.get(path)
		if is != status {
			t.Errorf("%s gives %d, not %d: %s", path, is, status, body)
		}
		return body
	}
	want("/healthz", 200)
	want("/readyz", 200)
	want("/uplinks/isp0", 200)
	want("/uplinks/isp1", 200)
	dead(b.Uplinks[1], true)
	b.awaitState(b.Uplinks[1], health.Down)
	want("/uplinks/isp0", 200)
	want("/uplinks/isp1", 503)
	want("/healthz", 200) // an ISP that is dead is no fault of the service's
	if got, asked := want("/status", 200), b.status(); !strings.Contains(got, fmt.Sprintf(`"build": %q`, asked.Build)) {
		t.Errorf("the endpoint and the command differ: %s", got)
	}
	for _, line := range []string{
		`replypath_uplink_up{family="ipv4",interface="eth0",uplink="isp0"} 1`,
		`replypath_uplink_up{family="ipv6",interface="eth1",uplink="isp1"} 0`,
	} {
		if metrics := want("/metrics", 200); !strings.Contains(metrics, line) {
			t.Errorf("no %s among the metrics:\n%s", line, metrics)
		}
	}
	dead(b.Uplinks[1], false)
	b.awaitState(b.Uplinks[1], health.Up)
	b.configure(b.Uplinks[0])
	b.must(0, "reload")
	want("/uplinks/isp1", 404)
}

// A program of the operator's that writes down what it is told.
func TestTheOperatorsProgramIsTold(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	dir, err := os.MkdirTemp("/run", "told") // where nobody else may write
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, told := filepath.Join(dir, "tell"), filepath.Join(dir, "told")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncat >>"+told+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.watched(fmt.Sprintf("on_change = [%q]", program))
	b.start()
	b.awaitUp()
	dead(b.Uplinks[1], true)
	b.awaitState(b.Uplinks[1], health.Down)
	until(t, inTheEnd, "the program is told", func() bool {
		text, err := os.ReadFile(told)
		if err != nil {
			return false
		}
		for d := json.NewDecoder(strings.NewReader(string(text))); ; {
			var e health.Event
			if d.Decode(&e) != nil {
				return false
			}
			if e.Kind == "state" && e.Uplink == "isp1" && e.From == "up" && e.To == "down" && e.Text != "" {
				return true
			}
		}
	})
}
