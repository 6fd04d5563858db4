package uplinks_test

import (
	"net/netip"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

func TestInterceptOfAConnection(t *testing.T) {
	s := uplinks.Settings{Uplinks: []uplinks.Uplink{{Name: "fibre", Link: "eth0"}}}
	packet := uplinks.InterceptedPacket{Link: "lan0", Protocol: "tcp", From: netip.MustParseAddr("198.18.0.2"), To: netip.MustParseAddr("203.0.113.9"), Port: 80}
	if _, found := s.InterceptOf(packet); found {
		t.Error("found without interception")
	}
	network := func(text string) netip.Prefix { return netip.MustParsePrefix(text) }
	s.Interception = &uplinks.Interception{Intercepts: []uplinks.Intercept{
		{Name: "a", Links: []string{"lan0"}, Protocols: []string{"tcp"}, Ports: []marks.PortRange{{First: 80, Last: 88}},
			Sources: uplinks.NetworkList{Out: []netip.Prefix{network("198.18.0.9/32")}}, To: uplinks.NetworkList{Out: []netip.Prefix{network("203.0.113.99/32")}}},
		{Name: "b", Links: []string{"lan0", "eth0"}, Protocols: []string{"udp"}},
		{Name: "c", Links: []string{"lan0"}, Protocols: []string{"tcp"}, To: uplinks.NetworkList{In: []netip.Prefix{network("192.0.2.0/24")}}},
	}}
	for _, c := range []struct {
		name   string
		change func(*uplinks.InterceptedPacket)
		want   string
	}{
		{"as it is", func(*uplinks.InterceptedPacket) {}, "a"},
		{"a port of the range", func(p *uplinks.InterceptedPacket) { p.Port = 88 }, "a"},
		{"another port", func(p *uplinks.InterceptedPacket) { p.Port = 89 }, ""},
		{"another link", func(p *uplinks.InterceptedPacket) { p.Link = "lan1" }, ""},
		{"a source that is left out", func(p *uplinks.InterceptedPacket) { p.From = netip.MustParseAddr("198.18.0.9") }, ""},
		{"a destination that is left out", func(p *uplinks.InterceptedPacket) { p.To = netip.MustParseAddr("203.0.113.99") }, ""},
		{"the host itself, from inside", func(p *uplinks.InterceptedPacket) { p.ToHost = true }, ""},
		{"the host itself, by an uplink", func(p *uplinks.InterceptedPacket) { p.ToHost, p.Link, p.Protocol = true, "eth0", "udp" }, "b"},
		{"a named address of the host", func(p *uplinks.InterceptedPacket) { p.ToHost, p.To = true, netip.MustParseAddr("192.0.2.2") }, "c"},
		{"all ports", func(p *uplinks.InterceptedPacket) { p.Protocol, p.Port = "udp", 9 }, "b"},
		{"a group", func(p *uplinks.InterceptedPacket) { p.Protocol, p.To = "udp", netip.MustParseAddr("239.0.0.1") }, ""},
	} {
		p := packet
		c.change(&p)
		if i, found := s.InterceptOf(p); i.Name != c.want || found != (c.want != "") {
			t.Errorf("%s: %q, want %q", c.name, i.Name, c.want)
		}
	}
}
