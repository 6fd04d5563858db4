package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// A server that connects its socket to the client replies from the address that the kernel chooses then. It is found by what the
// client requested, although no socket listens any more; one that is bound to the address is right, and so is a client.
func TestDoctorAndExplainSeeConnectedUDPServers(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	healthy := b.RunDoctor()
	b.Gateway.Do(func() {
		c, err := net.Dial("udp4", netip.AddrPortFrom(b.ClientAddr(b.Uplinks[1].Addrs()[0]), 5310).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "the request of a client")
	})
	b.Gateway.SetSysctl("net.netfilter.nf_conntrack_udp_timeout", "600")
	serve := func(port uint16, name, at string, to netip.Addr, replies bool) {
		t.Helper()
		serveUDPAs(b, name, fmt.Sprintf("connect %s:%d", at, port))
		if got := receivesEcho(b, netip.AddrPortFrom(to, port), replies); got != replies {
			t.Errorf("%s: replies: %t", name, got)
		}
		box.Eventually(t, box.EventualTimeout, name+" has connected its socket", func() bool {
			return b.Gateway.Run("ss", "-Huan", "state", "connected", "sport", "=", fmt.Sprintf(":%d", port)) != ""
		})
	}
	for i, to := range b.Uplinks[1].Addrs() {
		port := uint16(5311 + i)
		serve(port, "bound", []string{to.String(), "[" + to.String() + "]"}[i], to, true)
		b.Explain(t, 0, []string{"--listen", fmt.Sprintf("%d/udp", port)}, "bound", "connected to ", b.ClientAddr(to).String(), "right")
	}
	wantNewFindings(b, healthy, b.RunDoctor())
	findings := []string{}
	for i, to := range b.Uplinks[1].Addrs() {
		port, name := uint16(5321+i), fmt.Sprint("connector", i)
		serve(port, name, []string{"0.0.0.0", "[::]"}[i], to, false)
		findings = append(findings, "udp-server")
		found := wantNewFindings(b, healthy, b.RunDoctor(), findings...)
		want := fmt.Sprintf("which requested %s: %s (process ", to, name)
		if !slices.ContainsFunc(found, func(f box.DoctorFinding) bool { return strings.Contains(strings.Join(f.Evidence, " "), want) }) {
			t.Errorf("no finding says %q: %+v", want, found)
		}
		b.Explain(t, 3, []string{"--listen", fmt.Sprintf("%d/udp", port)}, name, "the kernel chose its address",
			fmt.Sprintf("request to %s by eth1 (uplink isp1) reply from %s by eth0 (uplink isp0) WRONG", to, b.Uplinks[0].Addrs()[i]), "remedy: ")
	}
}

// receivesEcho reports whether a client receives what it sends to the server.
func receivesEcho(b *box.Box, to netip.AddrPort, expected bool) (received bool) {
	b.T.Helper()
	b.Client.Do(func() {
		c, err := net.Dial("udp", to.String())
		if err != nil {
			b.T.Fatal(err)
		}
		b.T.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "request")
		c.SetReadDeadline(time.Now().Add(map[bool]time.Duration{true: time.Minute, false: time.Second}[expected]))
		n, err := c.Read(make([]byte, 99))
		received = err == nil && n == len("request")
	})
	return received
}
