package doctor

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// natHost is a gateway whose LAN asks a server outside through the second uplink.
type natHost struct {
	*box.Box
	settings []string
}

// configure applies a table [outbound].
func (h natHost) configure(line string) {
	h.T.Helper()
	h.Settings = append(h.settings[:len(h.settings):len(h.settings)], line)
	h.Configure(h.Uplinks...)
	h.Apply()
}

// wantAnswers wants the server to see the LAN by the address of the second uplink.
func (h natHost) wantAnswers(when string) {
	h.T.Helper()
	h.Gateway.Run("conntrack", "-F")
	q := box.NewRequest(world.KindUDP, h.Client4)
	q.Timeout = time.Minute
	if a := h.LAN.Send(q); !a.OK || a.Peer.Addr() != h.Uplinks[1].Addr4 {
		h.T.Errorf("%s: the server saw %s: %v", when, a.Peer, a)
	}
}

// paste runs the commands of the only finding of its kind, after which there is none.
func (h natHost) paste(d box.DoctorReport, id string) {
	h.T.Helper()
	for _, f := range d.Of(id) {
		h.Shell(f.Commands...)
	}
	if d := h.RunDoctor(); len(d.Of(id)) > 0 {
		h.T.Errorf("after the remedy of %s: %s", id, d)
	}
}

// Rules that translate what [outbound] translates are named, those to the address of another uplink as a warning; and so is a network
// with private addresses that nothing translates. The remedies help, by packets too.
func TestDoctorReportsDoubledAndMissingNAT(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		b.Client.ServeUDP(box.ServedPort, world.Pktinfo)
		h := natHost{b, b.Settings}
		h.configure(`outbound = { default = "isp1" }`)
		d := b.RunDoctor()
		b.WantFinding(d, box.IsWarning, "missing-nat", "198.18.0.0/24 on lan0 by isp1 (eth1)", "masquerade in [outbound]")
		if f := d.Of("missing-nat"); len(f) != 1 || len(f[0].Evidence) != 1 {
			t.Errorf("also by other uplinks, or of other networks: %s", d)
		}
		h.paste(d, "missing-nat")
		h.wantAnswers("by the pasted rule")
		if d := b.RunDoctor(); len(d.Of("doubled-nat")) > 0 {
			t.Errorf("masquerade is off: %s", d)
		}
		h.configure(`outbound = { default = "isp1", masquerade = "both" }`)
		d = b.RunDoctor()
		b.WantFinding(d, box.IsNote, "doubled-nat", map[bool]string{true: "masquerade", false: "-j MASQUERADE"}[backend == box.Nftables], "leave masquerade out")
		h.paste(d, "doubled-nat")
		h.translate(b.Uplinks[0].Addr4)
		d = b.RunDoctor()
		b.WantFinding(d, box.IsWarning, "doubled-nat", b.Uplinks[0].Addr4.String(), "-o, oifname")
		h.paste(d, "doubled-nat")
		h.wantAnswers("by replypath")
		h.chains()
		d = b.RunDoctor()
		b.WantFinding(d, box.IsNote, "doubled-nat", map[bool]string{true: "ip nat others: masquerade", false: "-A OTHERS -j MASQUERADE"}[backend == box.Nftables])
		h.paste(d, "doubled-nat")
		h.container()
		if d := b.RunDoctor(); len(d.Of("doubled-nat")) > 0 {
			t.Errorf("rules for containers, for a destination and for a mark: %s", d)
		}
	})
}

// Rules by which the operator exempts from address translation what is translated nevertheless are named, in both families, and not those
// for IPsec or other links. What takes their place has an effect, and is not named.
func TestDoctorReportsExemptionsWithoutEffect(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		h := natHost{b, b.Settings}
		h.configure(`outbound = { default = "isp1", masquerade = "both" }`)
		for _, family := range []int{4, 6} {
			network := map[int]string{4: "198.18.0.0/24", 6: "2001:db8:f::/64"}[family]
			for _, line := range []string{"-m policy --dir out --pol ipsec -j ACCEPT", "-o lan0 -j RETURN", "-s " + network + " -j NETMAP --to " + network} {
				h.Iptables(family, append([]string{"-t", "nat", "-A", "POSTROUTING"}, strings.Fields(line)...)...)
			}
		}
		if d := b.RunDoctor(); len(d.Of("nat-exemption")) > 0 {
			t.Errorf("rules for IPsec and another link, and a translation: %s", d)
		}
		h.Iptables(4, "-t", "nat", "-A", "POSTROUTING", "-s", "198.18.0.0/24", "-d", "203.0.113.0/24", "-j", "ACCEPT")
		h.Iptables(6, "-t", "nat", "-I", "POSTROUTING", "-o", "eth1", "-s", "2001:db8:f::/64", "-j", "RETURN")
		d := b.RunDoctor()
		b.WantFinding(d, box.IsNote, "nat-exemption", "-A POSTROUTING -s 198.18.0.0/24 -d 203.0.113.0/24 -j ACCEPT", "-A POSTROUTING -s 2001:db8:f::/64 -o eth1 -j RETURN", "-j NETMAP --to NETWORK")
		if f := d.Of("nat-exemption"); len(f) != 1 || len(f[0].Evidence) != 2 {
			t.Errorf("other rules are named too: %s", d)
		}
		h.configure(`outbound = { default = "isp1" }`)
		if d := b.RunDoctor(); len(d.Of("nat-exemption")) > 0 {
			t.Errorf("without masquerade: %s", d)
		}
	})
}

// translate adds a rule of another program that translates all sources to an address.
func (h natHost) translate(to netip.Addr) {
	h.T.Helper()
	if h.settings[0] == box.Nftables {
		h.Gateway.Run("nft", "add rule ip nat postrouting snat to "+to.String())
		return
	}
	h.Iptables(4, "-t", "nat", "-A", "POSTROUTING", "-j", "SNAT", "--to-source", to.String())
}

// chains adds a rule of another program in a chain that it jumps to for one uplink.
func (h natHost) chains() {
	h.T.Helper()
	if h.settings[0] == box.Nftables {
		h.Gateway.Run("nft", "add chain ip nat others; add chain ip nat more; add rule ip nat postrouting oifname eth1 goto more; add rule ip nat more jump others; add rule ip nat others masquerade")
		return
	}
	for _, line := range [][]string{{"-N", "OTHERS"}, {"-N", "MORE"}, {"-A", "POSTROUTING", "-o", "eth1", "-g", "MORE"}, {"-A", "MORE", "-j", "OTHERS"}, {"-A", "OTHERS", "-j", "MASQUERADE"}} {
		h.Iptables(4, append([]string{"-t", "nat"}, line...)...)
	}
}

// container adds rules that are not for the traffic of uplinks.
func (h natHost) container() {
	h.T.Helper()
	for _, line := range [][]string{{"-s", "198.18.77.0/24", "!", "-o", "br0"}, {"-d", "198.18.0.2/32"}, {"-m", "mark", "--mark", "0x40000/0x40000"}, {"-o", "br0"}} {
		h.Iptables(4, append(append([]string{"-t", "nat", "-A", "POSTROUTING"}, line...), "-j", "MASQUERADE")...)
	}
	for _, line := range [][]string{{"-N", "MARKED"}, {"-A", "MARKED", "-m", "mark", "!", "--mark", "0x4000/0x4000", "-j", "RETURN"}, {"-A", "MARKED", "-j", "MASQUERADE"}, {"-A", "POSTROUTING", "-j", "MARKED"},
		{"-N", "CNI-1"}, {"-A", "CNI-1", "!", "-d", "224.0.0.0/4", "-j", "MASQUERADE"}, {"-A", "POSTROUTING", "-s", "198.18.77.0/24", "-j", "CNI-1"}} {
		h.Iptables(4, append([]string{"-t", "nat"}, line...)...)
	}
	if h.settings[0] == box.Nftables {
		h.Gateway.Run("nft", "add chain ip nat marked; add rule ip nat marked meta mark & 0x4000 != 0x4000 return; add rule ip nat marked masquerade; add rule ip nat postrouting jump marked")
		h.Gateway.Run("nft", "add rule ip nat postrouting ip daddr 198.18.0.2 masquerade; add rule ip nat postrouting oifname br0 masquerade; add rule ip nat postrouting mark 7 masquerade")
	}
}
