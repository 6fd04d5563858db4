//go:build boot

package boot

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"replypath/test/world"
)

// The service that requests are put to: the machine's own, and that of a LAN host to which the machine forwards.
const port, forwarded = 7000, 7080

// fresh returns a new world with that many uplinks, whose gateway is a machine that has not booted yet. The second ISP gives
// addresses out by DHCP and router advertisements.
func fresh(t *testing.T, uplinks int) *world.Internet {
	t.Helper()
	w := world.ISPs(t, uplinks, world.Options{Unconfigured: true})
	serve(w)
	u := w.Uplinks[1]
	// The ISP of a client that sends before the address exists would resolve it again only a second later.
	for _, family := range []string{"ipv4", "ipv6"} {
		u.ISP.SetSysctl("net."+family+".neigh."+u.Side.Name+".retrans_time_ms", "50")
	}
	server := u.ISP.Command(t.Context(), "chroot", image, "/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root",
		"--port=0", "--pid-file", "--leasefile-ro", "--interface="+u.Side.Name, "--dhcp-authoritative", "--no-ping",
		"--dhcp-range="+u.Addr4.String()+","+u.Addr4.String()+",255.255.255.0,1h", "--dhcp-option=option:router,"+u.Router4.String(),
		"--enable-ra", "--dhcp-range="+u.Prefix6.Addr().String()+",ra-only,64")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve starts servers on the machine and on the LAN host.
func serve(w *world.Internet) {
	w.Gateway.ServeTCP(port)
	w.Gateway.ServeUDP(port, world.Pktinfo)
	w.LAN.ServeTCP(port)
}

// networkd makes systemd-networkd configure the uplinks: the first and the third statically, the second by DHCP and router
// advertisements.
func (d *disk) networkd() {
	d.t.Helper()
	d.Must("systemctl", "disable", "--quiet", "networking.service")
	d.Must("systemctl", "enable", "--quiet", "systemd-networkd.service")
	d.counts()
	const static = "[Match]\nName=%s\n[Network]\nAddress=%s\nAddress=%s\nIPv6AcceptRA=no\n[Route]\nGateway=%s\nMetric=%d\n[Route]\nGateway=%s\nMetric=%d\n"
	d.Write("/etc/systemd/network/eth0.network", fmt.Sprintf(static, "eth0", "198.51.100.2/24", "2001:db8:a::2/64", "198.51.100.1", 100, "2001:db8:a::1", 100))
	d.Write("/etc/systemd/network/eth2.network", fmt.Sprintf(static, "eth2", "198.19.2.2/24", "2001:db8:102::2/64", "198.19.2.1", 300, "2001:db8:102::1", 300))
	d.Write("/etc/systemd/system/systemd-networkd.service.d/debug.conf", "[Service]\nEnvironment=SYSTEMD_LOG_LEVEL=debug\n")
	d.Write("/etc/systemd/network/eth1.network", "[Match]\nName=eth1\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=yes\n"+
		"[DHCPv4]\nRouteMetric=200\n[IPv6AcceptRA]\nToken=static:::2\nRouteMetric=2000\nDHCPv6Client=no\n")
}

// ifupdown makes ifupdown configure the first two uplinks statically.
func (d *disk) ifupdown() {
	d.t.Helper()
	d.Must("systemctl", "enable", "--quiet", "networking.service")
	d.counts()
	d.Write("/etc/network/interfaces", `auto lo eth0 eth1
iface lo inet loopback
iface eth0 inet static
	address 198.51.100.2/24
	gateway 198.51.100.1
iface eth0 inet6 static
	address 2001:db8:a::2/64
	gateway 2001:db8:a::1
	dad-attempts 0
iface eth1 inet static
	address 192.0.2.2/24
	up ip route add default via 192.0.2.1 dev eth1 metric 200
iface eth1 inet6 static
	address 2001:db8:b::2/64
	up ip -6 route add default via 2001:db8:b::1 dev eth1 metric 2000
	dad-attempts 0
`)
}

// forwards makes the machine a router that forwards a port to a LAN host, by a ruleset that nftables.service loads.
func (d *disk) forwards() {
	d.t.Helper()
	d.Must("systemctl", "enable", "--quiet", "nftables.service")
	d.Write("/etc/sysctl.d/90-forward.conf", "net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n")
	d.Write("/etc/nftables.conf", fmt.Sprintf(`#!/usr/sbin/nft -f
flush ruleset
table inet forwards {
	chain prerouting {
		type nat hook prerouting priority dstnat
		iifname "eth*" tcp dport %d dnat ip to 198.18.0.2:%d
		iifname "eth*" tcp dport %[1]d dnat ip6 to [2001:db8:f::2]:%[2]d
	}
}
`, forwarded, port))
}

// uplinks writes the configuration of that many uplinks, a file each, whose gateways are learnt.
func (d *disk) uplinks(n int) {
	d.t.Helper()
	for i := range n {
		d.Write(fmt.Sprintf("/etc/replypath/uplinks.d/isp%d.toml", i), fmt.Sprintf("id = %d\ninterface = \"eth%d\"\ngateway = \"auto\"\n", i+1, i))
	}
}

// request sends each kind of request by an uplink in both families, and returns the first error.
func (m *machine) request(u *world.Uplink, patience time.Duration) error {
	for _, a := range u.Addrs() {
		for _, q := range []world.Request{
			{Kind: world.KindPing, To: netip.AddrPortFrom(a, 0)},
			{Kind: world.KindTCP, To: netip.AddrPortFrom(a, port)},
			{Kind: world.KindUDP, To: netip.AddrPortFrom(a, port)},
			{Kind: world.KindTCP, To: netip.AddrPortFrom(a, forwarded)},
		} {
			q.Timeout = patience
			if reply := m.Client.Send(q); !reply.OK {
				return fmt.Errorf("eth%d: %s to %s: %s", u.Index, q.Kind, q.To, reply)
			}
		}
	}
	return nil
}

// symmetric waits until each uplink's requests are answered by it. The ISPs drop what comes by the wrong one.
func (m *machine) symmetric(uplinks ...*world.Uplink) {
	m.t.Helper()
	if len(uplinks) == 0 {
		uplinks = m.Uplinks
	}
	for _, u := range uplinks {
		var err error
		m.await(fmt.Sprintf("answer by eth%d", u.Index), func() bool {
			err = m.request(u, time.Second)
			return err == nil
		})
	}
}

// repliesAtOnce wants a reply to the first attempt of every request.
func (m *machine) repliesAtOnce() {
	m.t.Helper()
	for _, u := range m.Uplinks {
		if err := m.request(u, 10*time.Second); err != nil {
			m.t.Errorf("%v\n%s", err, m.log())
		}
	}
}
