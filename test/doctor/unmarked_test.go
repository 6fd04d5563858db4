package doctor

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

const synProxy = "-m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460"

// unmarkedCases is what makes replies that belong to no connection with a mark.
var unmarkedCases = map[string]findingCase{
	"NPTv6 on the second uplink": {id: "stateless-translation", severity: box.IsWarning,
		cause: `ip6tables -t mangle -A PREROUTING -i eth1 -d 2001:db8:b:1::/64 -j DNPT --src-pfx 2001:db8:b:1::/64 --dst-pfx 2001:db8:e::/64
			ip6tables -t mangle -A POSTROUTING -o eth1 -s 2001:db8:e::/64 -j SNPT --src-pfx 2001:db8:e::/64 --dst-pfx 2001:db8:b:1::/64`,
		words:    []string{"2001:db8:e::/64 is translated without connection tracking on eth1 (NPTv6)"},
		evidence: []string{"mangle PREROUTING: -A PREROUTING -d 2001:db8:b:1::/64 -i eth1 -j DNPT", "mangle POSTROUTING: -A POSTROUTING -s 2001:db8:e::/64 -o eth1 -j SNPT"},
		remedy:   "ip -6 rule add from 2001:db8:e::/64 lookup 8202 priority 4001"},
	"datagrams for a server at 127.0.0.1": {id: "localnet", severity: box.IsWarning,
		cause:    "sysctl -qw net.ipv4.conf.eth1.route_localnet=1; iptables -t nat -A PREROUTING -i eth1 -p udp --dport 8000 -j DNAT --to 127.0.0.1:7000",
		words:    []string{"datagrams that come in by eth1", "127.0.0.0/8", "whose default link eth0 has no route_localnet"},
		evidence: []string{"-A PREROUTING -i eth1 -p udp -m udp --dport 8000 -j DNAT --to-destination 127.0.0.1:7000", "net.ipv4.conf.eth0.route_localnet = 0"},
		remedy:   "sysctl -w net.ipv4.conf.eth0.route_localnet=1", cure: "sysctl -qw net.ipv4.conf.eth0.route_localnet=1"},
	"datagrams for a server at 127.0.0.1, by nft": {id: "localnet", severity: box.IsWarning, anyBackend: true,
		cause:    "sysctl -qw net.ipv4.conf.eth1.route_localnet=1; nft 'table ip t { chain c { type nat hook prerouting priority dstnat; iifname eth1 udp dport 8000 dnat to 127.0.0.1:7000; tcp dport 8001 dnat to 127.0.0.1:7001; }; }'",
		evidence: []string{"nft list ruleset: ip t c: dnat to 127.0.0.1", "net.ipv4.conf.eth0.route_localnet = 0"},
		remedy:   "or let the server listen on an address of this host", cure: "nft flush chain ip t c; nft add rule ip t c tcp dport 8001 dnat to 127.0.0.1:7001"},
	"a SYN proxy for the host": {id: "notrack", severity: box.IsNote,
		cause:    "iptables -t raw -A PREROUTING -p tcp --syn --dport 8443 -j CT --notrack; iptables -A INPUT -p tcp --dport 8443 " + synProxy,
		words:    []string{"leave by the uplink of their source address"},
		evidence: []string{"-A PREROUTING -p tcp -m tcp --dport 8443 --tcp-flags FIN,SYN,RST,ACK SYN -j CT --notrack"},
		remedy:   "none needed", cure: "iptables -t raw -F PREROUTING; iptables -F INPUT"},
	"a SYN proxy for hosts behind": {id: "notrack", severity: box.IsWarning,
		cause:    "iptables -t raw -A PREROUTING -p tcp --syn --dport 8443 -j CT --notrack; iptables -A FORWARD -p tcp --dport 8443 " + synProxy,
		words:    []string{"those in the name of hosts behind this one leave by main"},
		evidence: []string{"--tcp-flags FIN,SYN,RST,ACK SYN -j CT --notrack"},
		remedy:   "ip rule add from PREFIX lookup TABLE priority 4001", cure: "iptables -t raw -F PREROUTING; iptables -F FORWARD"},
	"a SYN proxy of nft's for the host": {id: "notrack", severity: box.IsNote, anyBackend: true,
		cause: `nft 'table ip t { chain r { type filter hook prerouting priority raw; tcp dport 8443 tcp flags syn notrack; }
			chain c { type filter hook input priority filter; tcp dport 8443 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm; }; }'`,
		evidence: []string{"nft list ruleset: ip t r: notrack"},
		remedy:   "none needed", cure: "nft delete table ip t"},
}

func TestDoctorReportsRepliesWithoutMark(t *testing.T) {
	t.Parallel()
	runFindingCases(t, unmarkedCases)
}

// remedyOf returns the remedy of the only finding of that kind.
func remedyOf(b *box.Box, id string) string {
	b.T.Helper()
	found := b.RunDoctor().Of(id)
	if len(found) != 1 {
		b.T.Fatalf("findings %s: %+v, want one", id, found)
	}
	return found[0].Remedy
}

// wantSilence wants a request not to be answered.
func wantSilence(b *box.Box, kind world.Kind, to netip.Addr) {
	b.T.Helper()
	q := box.NewRequest(kind, to)
	q.Timeout = 500 * time.Millisecond
	if a := b.Client.Send(q); a.OK {
		b.T.Errorf("%s to %s is answered before the remedy: %v", kind, to, a)
	}
}

func TestRemedyForStatelessTranslationWorks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		b.Delegate(b.Uplinks[1], netip.MustParsePrefix("2001:db8:b:1::/64"))
		b.Iptables(6, "-t", "mangle", "-A", "PREROUTING", "-i", "eth1", "-d", "2001:db8:b:1::/64", "-j", "DNPT", "--src-pfx", "2001:db8:b:1::/64", "--dst-pfx", "2001:db8:f::/64")
		b.Iptables(6, "-t", "mangle", "-A", "POSTROUTING", "-o", "eth1", "-s", "2001:db8:f::/64", "-j", "SNPT", "--src-pfx", "2001:db8:f::/64", "--dst-pfx", "2001:db8:b:1::/64")
		box.ServeAll(b.LAN)
		b.Apply()
		outside := netip.MustParseAddr("2001:db8:b:1:3::2") // what SNPT makes of 2001:db8:f::2 (RFC 6296, 3.1)
		wantSilence(b, world.KindPing, outside)
		sh(b, remedyOf(b, "stateless-translation"))
		b.RecordEgress().WantReplies(t, b.Client, b.Uplinks[1], outside, []world.Kind{world.KindPing, world.KindTCP})
	})
}

func TestRemedyForLoopbackDNATWorks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		b.Gateway.SetSysctl("net.ipv4.conf.eth1.route_localnet", "1")
		b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-i", "eth1", "-p", "udp", "--dport", "7000", "-j", "DNAT", "--to", "127.0.0.1:7000")
		b.Gateway.ServeUDPAt(netip.MustParseAddrPort("127.0.0.1:7000"))
		b.Apply()
		to := b.Uplinks[1].Addr4
		wantSilence(b, world.KindUDP, to)
		commands, _, _ := strings.Cut(remedyOf(b, "localnet"), "; or ")
		b.Gateway.Run("sh", "-ec", commands)
		b.RecordEgress().WantReplies(t, b.Client, b.Uplinks[1], to, []world.Kind{world.KindUDP})
	})
}

// The answers of SYNPROXY in the name of this host are right by their source address; in that of a host behind it by the rules
// of the remedy.
func TestRemedyForSYNProxyWorks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		b.Gateway.SetSysctl("net.netfilter.nf_conntrack_tcp_loose", "0")
		b.Delegate(b.Uplinks[1], netip.PrefixFrom(b.LAN4, 32))
		b.Iptables(4, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--syn", "-j", "CT", "--notrack")
		for _, chain := range []string{"INPUT", "FORWARD"} {
			b.Iptables(4, append([]string{"-A", chain, "-i", "eth1", "-p", "tcp"}, strings.Fields(synProxy)...)...)
			b.Iptables(4, "-A", chain, "-i", "eth1", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
		}
		box.ServeAll(b.Gateway)
		box.ServeAll(b.LAN)
		b.Apply()
		tcp := []world.Kind{world.KindTCP}
		p := b.RecordEgress()
		p.WantReplies(t, b.Client, b.Uplinks[1], b.Uplinks[1].Addr4, tcp)
		wantSilence(b, world.KindTCP, b.LAN4)
		_, commands, _ := strings.Cut(remedyOf(b, "notrack"), "to such hosts: ")
		commands, _, _ = strings.Cut(commands, "; TABLE")
		b.Gateway.Run("sh", "-ec", strings.NewReplacer("PREFIX", b.LAN4.String(), "TABLE", "8202").Replace(commands))
		p.WantReplies(t, b.Client, b.Uplinks[1], b.LAN4, tcp)
	})
}
