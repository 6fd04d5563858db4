package routers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// clientGateway is the address of both members of a pair on their links to the client.
var clientGateway = netip.MustParseAddr("198.19.9.1")

// pair are two routers of the uplink cable that share its gateway addresses by VRRP.
type pair struct {
	*office
	members []*member
}

type member struct {
	*world.Host
	Addr4      netip.Addr  // its own
	link       *world.Link // of the client to it
	keepalived *world.Command
}

// newPair returns an office whose second router is one of a pair.
func newPair(t *testing.T, useVMAC bool, backend string) *pair {
	t.Helper()
	o := newOffice(t, backend)
	cable := o.Routers[1]
	p := &pair{office: o}
	third := o.Host("r3")
	third.Forward()
	link, port := o.Join(third, "w0", o.Switch, "r3")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	link.LinkLocal("fe80::13")
	link.Addr("192.0.2.13/24", "2001:db8:b::13/64")
	cable.Run("ip", "addr", "flush", "dev", "w0")
	cable.Link.LinkLocal("fe80::12")
	cable.Link.Addr("192.0.2.12/24", "2001:db8:b::12/64")
	access, client := o.Join(third, "access0", cable.Client, "eth1")
	access.LinkLocal("fe80::1")
	client.LinkLocal("fe80::11")
	third.AddRoute(world.Route{To: netip.PrefixFrom(cable.Client4, 32), Link: access})
	third.AddRoute(world.Route{To: netip.PrefixFrom(cable.Client6, 128), Via: netip.MustParseAddr("fe80::11"), Link: access})
	p.members = []*member{{Host: cable.Host, Addr4: netip.MustParseAddr("192.0.2.12"), link: cable.Client.Link("eth0")}, {Host: third, Addr4: netip.MustParseAddr("192.0.2.13"), link: client}}
	for i, m := range p.members {
		m.Link("access0").Addr(clientGateway.String() + "/32")
		m.startKeepalived(t, useVMAC, 150-50*i)
	}
	p.use(p.members[0])
	return p
}

// startKeepalived starts keepalived, and stops it at the end of the test.
func (m *member) startKeepalived(t *testing.T, useVMAC bool, priority int) {
	t.Helper()
	vmac := ""
	if useVMAC {
		vmac = "use_vmac vrrp.3\n    vmac_xmit_base\n"
	}
	dir := t.TempDir()
	text := fmt.Sprintf(`vrrp_instance CABLE {
    state BACKUP
    interface w0
    virtual_router_id 3
    priority %d
    version 3
    advert_int 0.2
    %s
    virtual_ipaddress {
        192.0.2.3/32
    }
    virtual_ipaddress_excluded {
        fe80::3/128
    }
}
`, priority, vmac)
	file, log := filepath.Join(dir, "keepalived.conf"), filepath.Join(dir, "log")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	m.keepalived = m.Command(t.Context(), "keepalived", "-n", "-l", "-D", "-P", "-f", file, "-p", filepath.Join(dir, "pid"), "-r", filepath.Join(dir, "vrrp"))
	m.keepalived.Stdout, m.keepalived.Stderr = out, out
	if err := m.keepalived.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		out.Close()
		if text, _ := os.ReadFile(log); t.Failed() {
			t.Logf("keepalived of %s: %s", m.Name, text)
		}
	})
}

// use waits until the member has the gateway addresses, and sends the client's packets by it.
func (p *pair) use(m *member) {
	p.T.Helper()
	box.Eventually(p.T, box.EventualTimeout, m.Name+" is in charge", func() bool {
		all := m.Run("ip", "-br", "addr")
		return strings.Contains(all, "192.0.2.3/32") && strings.Contains(all, "fe80::3/128")
	})
	client := p.Routers[1].Client
	client.Run("ip", "route", "replace", "default", "via", clientGateway.String(), "dev", m.link.Name, "onlink", "src", p.Routers[1].Client4.String())
	client.Run("ip", "-6", "route", "replace", "default", "via", "fe80::1", "dev", m.link.Name, "src", p.Routers[1].Client6.String())
}

// TestPairOfRouters takes the gateway addresses of an uplink from one router to another. With a virtual hardware address the
// frames that a router forwards still have its own.
func TestPairOfRouters(t *testing.T) {
	for _, c := range []struct {
		name    string
		useVMAC bool
		backend string
	}{{"own hardware addresses", false, box.Backends[0]}, {"virtual hardware address", true, box.Backends[1]}, {"virtual hardware address, nftables", true, box.Nftables}} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, c.useVMAC, c.backend)
			box.ServeAll(p.Gateway)
			p.configure("", `routers = ["192.0.2.12", "192.0.2.13"]`)
			p.start(t)
			for _, m := range p.members {
				p.awaitRouter(t, hardwareAddr(m.Host, "w0"))
			}
			p.wantReplies(t)
			var streams []*world.Stream
			for _, to := range p.to() {
				s, err := p.Routers[1].Client.Stream(box.NewRequest(world.KindTCP, to))
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, s)
			}
			if err := p.members[0].keepalived.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = p.members[0].keepalived.Wait()
			p.use(p.members[1])
			p.wantReplies(t)
			for _, s := range streams {
				if err := s.Await(t.Context(), 1<<20); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// hardwareAddr returns the hardware address of a host's link.
func hardwareAddr(h *world.Host, link string) string {
	words := strings.Fields(h.Run("ip", "-o", "link", "show", link))
	for i, w := range words[:len(words)-1] {
		if w == "link/ether" {
			return words[i+1]
		}
	}
	return ""
}
