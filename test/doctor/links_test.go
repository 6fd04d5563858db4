package doctor

import (
	"testing"

	"replypath/test/box"
)

// sysctlAndLinkCases is how the host's links and sysctls are.
var sysctlAndLinkCases = map[string]findingCase{
	"different MTUs": {id: "mtu-differs", severity: box.IsNote,
		cause:    "ip link set eth1 mtu 1400",
		words:    []string{"uplinks have different MTUs"},
		evidence: []string{"eth0: mtu 1500", "eth1: mtu 1400"},
		remedy:   "-t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
		cure:     "for t in iptables ip6tables; do $t -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu; done"},
	"different MTUs, and nft clamps": {id: "mtu-differs", severity: box.IsNote,
		cause:    "ip link set eth1 mtu 1400; nft add table ip t; nft 'add chain ip t c { type filter hook forward priority -150; }'; nft add rule ip t c 'tcp flags syn tcp option maxseg size set rt mtu'",
		evidence: []string{"eth1: mtu 1400"}, remedy: "or clamp the MSS with iptables and ip6tables",
		cure: "nft delete table ip t; nft add table inet t; nft 'add chain inet t c { type filter hook forward priority -150; }'; nft add rule inet t c 'tcp flags syn tcp option maxseg size set rt mtu'"},
	"two links in one network": {id: "arp-flux", severity: box.IsWarning, anyBackend: true, also: []string{"uplinks"},
		cause:    "ip addr add 192.0.2.99/24 dev lan0",
		words:    []string{"eth1 and lan0 are in one network"},
		evidence: []string{"eth1 has an address in 192.0.2.0/24; net.ipv4.conf.eth1.arp_ignore = 0", "lan0 has an address in 192.0.2.0/24; net.ipv4.conf.lan0.arp_ignore = 0"},
		remedy:   "sysctl -w net.ipv4.conf.eth1.arp_ignore=1 net.ipv4.conf.eth1.arp_announce=2 net.ipv4.conf.lan0.arp_ignore=1 net.ipv4.conf.lan0.arp_announce=2"},
	"a link with a dot in its name in the network of an uplink": {id: "arp-flux", severity: box.IsWarning, anyBackend: true,
		cause:    "ip link add lan0.100 type veth peer name lan0.101; ip addr add 198.51.100.99/25 dev lan0.100; ip link set lan0.100 up",
		words:    []string{"eth0 and lan0.100 are in one network"},
		evidence: []string{"lan0.100 has an address in 198.51.100.0/25; net/ipv4/conf/lan0.100/arp_ignore = 0"},
		remedy:   "sysctl -w net.ipv4.conf.eth0.arp_ignore=1 net.ipv4.conf.eth0.arp_announce=2 net/ipv4/conf/lan0.100/arp_ignore=1"},
	"an address on two uplinks": {id: "same-address", severity: box.IsWarning, anyBackend: true,
		cause:    "ip addr add 198.51.100.2/32 dev eth1",
		words:    []string{"eth0, eth1 have the same address", "leave by eth0 only"},
		evidence: []string{"198.51.100.2 on eth0, eth1"},
		remedy:   "renumber one of the networks, at its router", cure: "ip addr del 198.51.100.2/32 dev eth1"},
	"an address on two uplinks, IPv6": {id: "same-address", severity: box.IsWarning, anyBackend: true,
		cause:    "ip addr add 2001:db8:b::2/128 dev eth0 nodad",
		evidence: []string{"2001:db8:b::2 on eth0, eth1"},
		remedy:   "renumber one of the networks", cure: "ip addr del 2001:db8:b::2/128 dev eth0"},
	"a tunnel of the kernel's": {id: "kernel-listener", severity: box.IsNote, anyBackend: true,
		cause:    "ip link add vx0 type vxlan id 5 dstport 4789; ip link set vx0 up",
		words:    []string{"the kernel listens on the wildcard address for tunnels (vx0)"},
		evidence: []string{"udp 0.0.0.0 port 4789: unknown process"},
		remedy:   "give the tunnel a local address",
		cure:     "ip link del vx0; ip link add vx0 type vxlan id 5 dstport 4789 local 192.0.2.2; ip link set vx0 up"},
	"src_valid_mark on all": {id: "src-valid-mark-all", severity: box.IsWarning, anyBackend: true,
		cause:    "sysctl -qw net.ipv4.conf.all.src_valid_mark=1",
		words:    []string{"src_valid_mark is set for all links"},
		evidence: []string{"net.ipv4.conf.all.src_valid_mark = 1"},
		remedy:   "sysctl -w net.ipv4.conf.all.src_valid_mark=0", cure: "sysctl -w net.ipv4.conf.all.src_valid_mark=0"},
	"a source check that is loose everywhere": {id: "rp-filter", severity: box.IsNote, anyBackend: true,
		cause:    "sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.eth1.rp_filter=1",
		words:    []string{"rp_filter of uplinks is not strict"},
		evidence: []string{"eth0: net.ipv4.conf.all.rp_filter = 2", "eth1: net.ipv4.conf.all.rp_filter = 2"},
		remedy:   "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=1"},
	"a source check that one uplink lacks": {id: "rp-filter", severity: box.IsNote, anyBackend: true,
		cause:    "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth1.rp_filter=0",
		evidence: []string{"eth1: net.ipv4.conf.eth1.rp_filter = 0"},
		remedy:   "sysctl -w net.ipv4.conf.eth1.rp_filter=1"},
}

func TestDoctorReportsSysctlsAndLinks(t *testing.T) {
	t.Parallel()
	runFindingCases(t, sysctlAndLinkCases)
}
