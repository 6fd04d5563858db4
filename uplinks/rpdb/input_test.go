package rpdb_test

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// inputDatabase returns a database with main's default route by eth0, and a second link, eth1, with the checks.
func inputDatabase(c rpdb.InputChecks) *rpdb.Database {
	local := func(a string) rpdb.Route {
		return route(uplinks.LocalTable, a+"/32", "lo", func(r *rpdb.Route) { r.Type = rpdb.Local })
	}
	d := database([]rpdb.Rule{
		rule(0, func(r *rpdb.Rule) { r.Table = uplinks.LocalTable }),
		rule(100, func(r *rpdb.Rule) { r.Mark, r.Mask = 0x200, 0x1f00 }),
		rule(32766, func(r *rpdb.Rule) { r.Table = uplinks.MainTable }),
	}, local("192.0.2.2"), local("198.51.100.2"), route(uplinks.MainTable, "0.0.0.0/0", "eth0"), route(uplinks.MainTable, "198.18.0.0/24", "lan0"), route(200, "0.0.0.0/0", "eth1"))
	d.Links = map[string]rpdb.Link{"eth0": {}, "eth1": {Checks: c}, "lan0": {}}
	return d
}

func TestInputChecks(t *testing.T) {
	strict := rpdb.InputChecks{RPFilter: 1, Addressed: true}
	change := func(f func(*rpdb.InputChecks)) rpdb.InputChecks { c := strict; f(&c); return c }
	for name, c := range map[string]struct {
		checks   rpdb.InputChecks
		from, to string
		mark     uint32
		err      syscall.Errno
		drop     string
	}{
		"strict rp_filter":                  {strict, "203.0.113.9", "192.0.2.2", 0, syscall.EXDEV, "the route back to 203.0.113.9 is by eth0"},
		"strict rp_filter, mark not used":   {strict, "203.0.113.9", "192.0.2.2", 0x200, syscall.EXDEV, "the route back to 203.0.113.9 is by eth0"},
		"strict rp_filter, mark used":       {change(func(c *rpdb.InputChecks) { c.SrcValidMark = true }), "203.0.113.9", "192.0.2.2", 0x200, 0, ""},
		"loose rp_filter":                   {change(func(c *rpdb.InputChecks) { c.RPFilter = 2 }), "203.0.113.9", "192.0.2.2", 0, 0, ""},
		"rp_filter on a link without IPv4":  {change(func(c *rpdb.InputChecks) { c.RPFilter, c.Addressed = 2, false }), "203.0.113.9", "192.0.2.2", 0, syscall.EXDEV, "eth1 has no IPv4 address"},
		"a source address of this host":     {strict, "198.51.100.2", "192.0.2.2", 0, syscall.EINVAL, "an address of this host itself"},
		"one that is accepted":              {change(func(c *rpdb.InputChecks) { c.RPFilter, c.AcceptLocal = 0, true }), "198.51.100.2", "192.0.2.2", 0, 0, ""},
		"one that a loose check accepts":    {change(func(c *rpdb.InputChecks) { c.RPFilter, c.AcceptLocal = 2, true }), "198.51.100.2", "192.0.2.2", 0, 0, ""},
		"a multicast source":                {strict, "224.0.0.9", "192.0.2.2", 0, syscall.EINVAL, "224.0.0.9 is not a valid source address"},
		"a loopback source":                 {strict, "127.0.0.9", "192.0.2.2", 0, syscall.EINVAL, "127.0.0.9 must not arrive by a link"},
		"a forwarded packet, no forwarding": {change(func(c *rpdb.InputChecks) { c.RPFilter = 0 }), "203.0.113.9", "198.18.0.2", 0, syscall.EHOSTUNREACH, "net.ipv4.conf.eth1.forwarding=0"},
		"a forwarded packet":                {change(func(c *rpdb.InputChecks) { c.RPFilter, c.Forwarding = 0, true }), "203.0.113.9", "198.18.0.2", 0, 0, ""},
	} {
		p := packet(func(p *rpdb.Packet) {
			p.In, p.From, p.To, p.Mark = "eth1", netip.MustParseAddr(c.from), netip.MustParseAddr(c.to), c.mark
		})
		r := inputDatabase(c.checks).LookUp(p)
		if r.Error != c.err || (r.DropReason == "") != (c.drop == "") || !strings.Contains(r.DropReason, c.drop) {
			t.Errorf("%s: error %v, dropped %q; want %v, %q", name, r.Error, r.DropReason, c.err, c.drop)
		}
	}
}

func TestDifferenceFromTheKernel(t *testing.T) {
	d := inputDatabase(rpdb.InputChecks{})
	r := d.LookUp(packet())
	same, byEth1, elsewhere := *r.Route, route(uplinks.MainTable, "0.0.0.0/0", "eth1"), route(200, "0.0.0.0/0", "eth0")
	for name, c := range map[string]struct {
		kernel rpdb.Answer
		want   string
	}{
		"the same route": {rpdb.Answer{Route: &same}, ""},
		"another link":   {rpdb.Answer{Route: &byEth1}, "the kernel selects default dev eth1 from table main"},
		"another table":  {rpdb.Answer{Route: &elsewhere}, "the kernel selects default dev eth0 from table 200"},
		"an error":       {rpdb.Answer{Error: syscall.ENETUNREACH}, `the kernel returns "network is unreachable", the simulation "there is a route"`},
	} {
		if got := r.Difference(c.kernel); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestUnsupportedQueriesHaveAReason(t *testing.T) {
	d := inputDatabase(rpdb.InputChecks{})
	from := func(a string) func(*rpdb.Packet) { return func(p *rpdb.Packet) { p.From = netip.MustParseAddr(a) } }
	gre := func(p *rpdb.Packet) { p.Proto = 47 }
	for name, c := range map[string]struct {
		packet rpdb.Packet
		want   string
	}{
		"an own packet":             {packet(), ""},
		"with an own address":       {packet(from("192.0.2.2")), ""},
		"with a foreign address":    {packet(from("192.0.2.77")), "192.0.2.77 is not an address of this host"},
		"to a multicast address":    {packet(func(p *rpdb.Packet) { p.To = netip.MustParseAddr("224.0.0.9") }), "multicast"},
		"GRE, no rule for protocol": {packet(gre), ""},
	} {
		if got := d.UnsupportedQuery(c.packet); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	d.Rules = append(d.Rules, rule(7, func(r *rpdb.Rule) { r.Proto = rpdb.TCP }))
	if got := d.UnsupportedQuery(packet(gre)); !strings.Contains(got, "a rule matches protocols") {
		t.Errorf("GRE with a rule for a protocol: %q", got)
	}
}
