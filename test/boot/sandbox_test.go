//go:build boot

package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"replypath/health"
)

// sandbox wants the service to be confined by its unit, and to work nevertheless.
func (m *machine) sandbox() {
	m.t.Helper()
	m.run("systemd-analyze", "security", "--no-pager", "--threshold=25", "replypath.service")
	status := m.run("cat", "/proc/"+m.pid()+"/status")
	for _, want := range []string{
		`CapBnd:\s0000008000003000`, // CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF
		`CapEff:\s0000008000003000`, `NoNewPrivs:\s1`, `Seccomp:\s2`,
	} {
		if !regexp.MustCompile(want).MatchString(status) {
			m.t.Errorf("no %s in:\n%s", want, status)
		}
	}
	if names := m.run("cat", "/etc/iproute2/rt_tables.d/replypath.conf"); !strings.Contains(names, "8202\tisp1") {
		m.t.Errorf("the tables are named %q", names)
	}
	m.shown()
	m.disk.Write("/usr/local/sbin/tell", "#!/bin/sh\ncat >/run/replypath/told\n")
	m.run("chmod", "755", "/usr/local/sbin/tell")
	for _, backend := range []string{"legacy", "nft"} {
		m.disk.Write("/etc/replypath/replypath.toml", fmt.Sprintf("backend = %q\non_change = [\"/usr/local/sbin/tell\"]\n", backend))
		m.run("systemctl", "reload", "replypath.service")
		if save := m.run("iptables-"+backend+"-save", "-t", "mangle"); !strings.Contains(save, "REPLYPATH-PRE") {
			m.t.Errorf("nothing by iptables-%s:\n%s", backend, save)
		}
		m.repliesAtOnce()
	}
	m.await("program of on_change", func() bool { _, err := m.try("test", "-s", "/run/replypath/told"); return err == nil })
	m.run("rm", "/etc/replypath/replypath.toml", "/run/replypath/told")
	m.run("systemctl", "reload", "replypath.service")
}

// shown waits until the reply path of every uplink is shown by synthetic requests.
func (m *machine) shown() {
	m.t.Helper()
	var last string
	m.await("proof", func() bool {
		out, _ := m.try("replypath", "status", "--json")
		var s health.Status
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			return false
		}
		last = ""
		for _, u := range s.Uplinks {
			for _, f := range u.Families {
				last += fmt.Sprintf("%s %s: %+v\n", u.Name, f.Family, f.Proof.Trace)
				if f.Proof.Trace.Result != health.Yes {
					return false
				}
			}
		}
		return last != ""
	})
	m.t.Logf("shown in the box:\n%s", last)
}

// endpoint sends requests to the endpoint from the host itself.
func (m *machine) endpoint() {
	m.t.Helper()
	dial := func(ctx context.Context, network, address string) (c net.Conn, err error) {
		m.Gateway.Do(func() { c, err = (&net.Dialer{}).DialContext(ctx, network, address) })
		return c, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	var last string
	m.await("healthy endpoint", func() bool {
		response, err := client.Get("http://127.0.0.1:9717/healthz")
		if err != nil {
			last = err.Error()
			return false
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		last = response.Status + " " + string(text)
		return response.StatusCode == http.StatusOK
	})
	m.t.Log(last)
}
