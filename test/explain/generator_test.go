package explain

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// policyGenerator makes random rules, routes and packets of one family.
type policyGenerator struct {
	*rand.Rand
	family uplinks.Family
}

// policyTables are those that mazes use beside main.
var policyTables = []string{"101", "102", "103", "1000"}

// policyPrefixes and mazeAddresses meet each other often. The last three addresses are the host's own.
var (
	policyPrefixes = map[uplinks.Family][]string{
		uplinks.IPv4: {"default", "198.18.0.0/15", "198.18.0.0/16", "198.18.1.0/24", "198.19.0.0/16", "203.0.113.0/24", "203.0.113.128/25", "203.0.113.9/32", "192.0.2.0/24"},
		uplinks.IPv6: {"default", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::/64", "2001:db8:ff00::/40", "2001:db8:ffff::/48", "2001:db8:ffff::9/128", "2001:db8:ffff:8000::/49"},
	}
	policyAddresses = map[uplinks.Family][]string{
		uplinks.IPv4: {"203.0.113.9", "203.0.113.200", "192.0.2.7", "198.19.7.7", "198.18.1.77", "198.18.3.3", "198.18.1.255", "198.18.0.1", "198.18.1.1", "198.18.2.1"},
		uplinks.IPv6: {"2001:db8:ffff::9", "2001:db8:ffff:8000::1", "2001:db8:ff00::7", "2001:db8:1::77", "2001:db8:7::7", "2001:db8:3::3", "fe80::99", "ff02::77", "2001:db8::1", "2001:db8:1::1", "2001:db8:2::1"},
	}
)

func (m policyGenerator) pick(of []string) string { return of[m.IntN(len(of))] }

func (m policyGenerator) link() string { return fmt.Sprintf("eth%d", m.IntN(4)) }

func (m policyGenerator) address() netip.Addr {
	return netip.MustParseAddr(m.pick(policyAddresses[m.family]))
}

func (m policyGenerator) mark() uint32 { return uint32(m.IntN(4)) << 8 }

// oneIn reports whether once in n times.
func (m policyGenerator) oneIn(n int) bool { return m.IntN(n) == 0 }

func (m policyGenerator) lines() (lines []string) {
	for range 4 + m.IntN(20) {
		lines = append(lines, m.route())
	}
	for range 1 + m.IntN(16) {
		lines = append(lines, m.rule())
	}
	if m.oneIn(6) {
		lines = append(lines, "rule del priority 32766")
	}
	if link := m.IntN(4); m.family == uplinks.IPv6 && m.oneIn(2) {
		lines = append(lines, fmt.Sprintf("neigh replace %s dev eth%d nud failed", m.gateway(link), link))
	}
	return lines
}

func (m policyGenerator) route() string {
	table := "main"
	if !m.oneIn(4) {
		table = m.pick(policyTables)
	}
	line, hops := m.destination()
	if m.family == uplinks.IPv4 && m.oneIn(8) {
		line += fmt.Sprintf(" tos %#x", 4<<m.IntN(3))
	}
	if m.oneIn(3) {
		line += fmt.Sprintf(" metric %d", 1+m.IntN(4))
	}
	return line + " table " + table + " proto static" + hops
}

// destination returns a route's type and destination, and its hops if they are many.
func (m policyGenerator) destination() (line, hops string) {
	to := m.pick(policyPrefixes[m.family])
	if m.oneIn(4) {
		to = m.pick([]string{"unreachable ", "prohibit ", "blackhole ", "throw "}) + to
		return "route add " + to, ""
	}
	if m.family == uplinks.IPv6 && m.oneIn(8) {
		to += " from " + m.pick(policyPrefixes[m.family][1:])
	}
	switch m.IntN(6) {
	case 0:
		for _, link := range m.Perm(4)[:2] {
			hops += fmt.Sprintf(" nexthop %s weight %d", m.hop(link), 1+m.IntN(3))
		}
		return "route add " + to, hops
	case 1, 2:
		return "route add " + to + " dev " + m.link(), ""
	}
	return "route add " + to + " " + m.hop(m.IntN(4)), ""
}

func (m policyGenerator) hop(link int) string {
	return fmt.Sprintf("via %s dev eth%d onlink", m.gateway(link), link)
}

func (m policyGenerator) gateway(link int) string {
	if m.family == uplinks.IPv6 {
		return fmt.Sprintf("2001:db8:%d::fe", link)
	}
	return fmt.Sprintf("198.18.%d.254", link)
}

// rule adds a rule; its priority is one of few, so that gotos meet one.
func (m policyGenerator) rule() string {
	priority := 100 * (1 + m.IntN(12))
	w := []string{fmt.Sprintf("rule add priority %d", priority)}
	add := func(n int, format string, args ...any) {
		if m.oneIn(n) {
			w = append(w, fmt.Sprintf(format, args...))
		}
	}
	add(5, "not")
	if m.oneIn(4) {
		w = append(w, "from "+m.pick(policyPrefixes[m.family][1:]))
	}
	if m.oneIn(6) {
		w = append(w, "to "+m.pick(policyPrefixes[m.family][1:]))
	}
	add(4, "fwmark %#x/%#x", m.mark(), 0x100<<m.IntN(2)|0x200)
	add(6, "iif %s", m.pick([]string{"lo", "lo", "eth0", "eth1", "eth2", "nowhere"}))
	add(10, "oif %s", m.link())
	add(10, "tos %#x", 4<<m.IntN(3))
	add(8, "uidrange %d-%d", 1000*m.IntN(2), 1000+m.IntN(2))
	add(8, "ipproto %s", m.pick([]string{"tcp", "udp", "17", "icmp", "ipv6-icmp"}))
	add(10, "sport %d-%d", 1000*m.IntN(3)+1, 3000)
	add(10, "dport %d", 1000*(1+m.IntN(3)))
	return strings.Join(append(w, m.action(priority)), " ")
}

func (m policyGenerator) action(priority int) string {
	switch m.IntN(10) {
	case 0:
		return m.pick([]string{"blackhole", "unreachable", "prohibit"})
	case 1:
		return "nop"
	case 2, 3:
		return fmt.Sprintf("goto %d", priority+100*(1+m.IntN(4)))
	}
	does := "lookup " + m.pick(append(slices.Clone(policyTables), "main", "4000"))
	if m.oneIn(3) {
		does += fmt.Sprintf(" suppress_prefixlength %d", []int{0, 0, 16, 24, 32}[m.IntN(5)])
	}
	if m.oneIn(4) {
		does += fmt.Sprintf(" suppress_ifgroup %d", []int{0, 10, 20}[m.IntN(3)])
	}
	return does
}

func (m policyGenerator) packets(n int) (all []rpdb.Packet) {
	for range n {
		all = append(all, m.packet())
	}
	return all
}

func (m policyGenerator) packet() rpdb.Packet {
	p := rpdb.Packet{Family: m.family, To: m.address(), Mark: m.mark(), Proto: uint8([]int{rpdb.UDP, rpdb.TCP}[m.IntN(2)])}
	own := policyAddresses[m.family][len(policyAddresses[m.family])-3:]
	switch m.IntN(6) {
	case 0, 1:
		p.In, p.From = m.link(), m.address()
	case 2:
		p.From = netip.MustParseAddr(m.pick(own))
	case 3:
		p.From = m.address()
	}
	if p.In == "" && m.oneIn(6) {
		p.Out = m.link()
	}
	if m.oneIn(3) {
		p.TOS = uint8(m.IntN(64)) << 2
	}
	if m.oneIn(2) {
		p.Sport, p.Dport = uint16(1000*(1+m.IntN(4))), uint16(1000*(1+m.IntN(4)))
	}
	if m.oneIn(6) {
		p.Proto, p.Sport, p.Dport = map[uplinks.Family]uint8{uplinks.IPv4: rpdb.ICMP, uplinks.IPv6: rpdb.ICMPv6}[m.family], 0, 0
	}
	if p.In == "" && m.oneIn(2) {
		p.UID = uint32(999 + m.IntN(3))
	}
	return p
}

// sysctls gives the host other ones of those that routing looks at.
func (m policyGenerator) sysctls(h *world.Host) {
	for _, link := range []string{"all", "eth0", "eth1", "eth2", "eth3"} {
		conf := "net.ipv4.conf." + link + "."
		h.SetSysctl(conf+"rp_filter", fmt.Sprint(m.IntN(3)))
		h.SetSysctl(conf+"src_valid_mark", fmt.Sprint(m.IntN(2)))
		h.SetSysctl(conf+"accept_local", fmt.Sprint(m.IntN(2)))
		h.SetSysctl(conf+"send_redirects", fmt.Sprint(m.IntN(2)))
		if link != "all" {
			h.SetSysctl(conf+"forwarding", fmt.Sprint(min(m.IntN(4), 1)))
		}
	}
	h.SetSysctl("net.ipv6.conf.all.forwarding", fmt.Sprint(m.IntN(2)))
}
