package routers

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// office is a gateway with an uplink of its own, by eth0, and two routers on one link, eth1: those of the uplinks dsl and cable.
// Behind each router is a client that no other router leads to.
//
//	isp0 ---------------- eth0 \
//	client -- router 1 -- eth1   gateway -- lan0 -- lan
//	client -- router 2 -- /
type office struct {
	*box.Box
	Switch  *world.Host
	Link    *world.Link // eth1
	Port    *world.Link // of the switch to the gateway
	Routers []*router
	Addr4   netip.Addr // of the gateway on eth1
	Addr6   netip.Addr
}

// router is a router on the shared link, with the client behind it.
type router struct {
	*world.Host
	Name             string // of its uplink
	Link             *world.Link
	Addr4, Addr6, LL netip.Addr
	Client           *world.Host
	Client4, Client6 netip.Addr
	MAC              string
}

// routers are the uplinks of the office.
var uplinkNames = []string{"dsl", "cable"}

// newOffice returns an office with the configuration of its uplinks. The lines are settings.
func newOffice(t *testing.T, lines ...string) *office {
	t.Helper()
	in := world.ISPs(t, 1)
	link, port := in.Join(in.Gateway, "eth1", in.Host("sw"), "gw")
	return newOfficeIn(t, in, link, port, lines...)
}

// newOfficeIn returns an office in a world with one uplink, whose gateway has a link to the switch.
func newOfficeIn(t *testing.T, in *world.Internet, link, port *world.Link, lines ...string) *office {
	t.Helper()
	in.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	o := &office{Box: box.New(t, in, lines...), Switch: in.Host("sw"), Link: link, Port: port, Addr4: netip.MustParseAddr("192.0.2.2"), Addr6: netip.MustParseAddr("2001:db8:b::2")}
	ports := []*world.Link{port}
	for i, name := range uplinkNames {
		r := &router{Host: in.Host(fmt.Sprintf("r%d", i+1)), Name: name, Client: in.Host(fmt.Sprintf("c%d", i+1))}
		r.Link, port = in.Join(r.Host, "w0", o.Switch, fmt.Sprintf("r%d", i+1))
		ports = append(ports, port)
		o.Routers = append(o.Routers, r)
	}
	o.Switch.Bridge("br0", ports...)
	o.Link.LinkLocal("fe80::2")
	o.Link.Addr("192.0.2.2/24", "2001:db8:b::2/64")
	for i, r := range o.Routers {
		r.build(in, 2*i+1, 20+10*i)
	}
	o.configure("", "")
	return o
}

// build gives the router its addresses, of which number is the last part, and a client.
func (r *router) build(in *world.Internet, number, client int) {
	r.Forward()
	r.Addr4, r.Addr6, r.LL = numbered("192.0.2.", number), numbered("2001:db8:b::", number), numbered("fe80::", number)
	r.Client4, r.Client6 = numbered("203.0.113.", client), numbered("2001:db8:c::", client)
	r.Link.LinkLocal(r.LL.String())
	r.Link.Addr(r.Addr4.String()+"/24", r.Addr6.String()+"/64")
	r.setMAC(fmt.Sprintf("02:00:00:0a:%02d:01", number))
	access, link := in.Join(r.Host, "access0", r.Client, "eth0")
	access.LinkLocal("fe80::1")
	link.LinkLocal("fe80::10")
	link.Addr(r.Client4.String()+"/32", r.Client6.String()+"/128")
	r.AddRoute(world.Route{To: netip.PrefixFrom(r.Client4, 32), Link: access})
	r.AddRoute(world.Route{To: netip.PrefixFrom(r.Client6, 128), Via: netip.MustParseAddr("fe80::10"), Link: access})
	r.Client.AddRoute(world.Route{To: world.DefaultPrefix4, Via: r.Addr4, Link: link, Src: r.Client4})
	r.Client.AddRoute(world.Route{To: world.DefaultPrefix6, Via: netip.MustParseAddr("fe80::1"), Link: link, Src: r.Client6})
}

// desk returns a host on the shared link.
func (o *office) desk() *world.Host {
	h := o.Host("desk")
	link, port := o.Join(h, "eth0", o.Switch, "desk")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	link.LinkLocal("fe80::99")
	link.Addr("192.0.2.99/24", "2001:db8:b::99/64")
	return h
}

// setMAC gives the router's link another hardware address, which the router announces to nobody.
func (r *router) setMAC(mac string) {
	r.MAC = mac
	r.Run("ip", "link", "set", "w0", "address", mac)
}

func numbered(prefix string, number int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("%s%d", prefix, number))
}

// configure writes the configuration, with further lines of the uplinks dsl and cable.
func (o *office) configure(dsl, cable string) {
	o.T.Helper()
	o.configureFirst(dsl, cable)
}

// configureFirst writes the configuration of as many uplinks on the shared link as there are texts, each with further lines.
func (o *office) configureFirst(lines ...string) {
	o.T.Helper()
	var text strings.Builder
	for _, line := range o.Settings {
		fmt.Fprintln(&text, line)
	}
	u := o.Uplinks[0]
	fmt.Fprintf(&text, "[uplinks.fibre]\nid = 1\ninterface = \"eth0\"\ngateway = [%q, %q]\n", u.Router4, u.RouterLL)
	for i, more := range lines {
		r := o.Routers[i]
		fmt.Fprintf(&text, "[uplinks.%s]\nid = %d\ninterface = \"eth1\"\ngateway = [%q, %q]\n%s\n", r.Name, i+2, r.Addr4, r.LL, more)
	}
	o.Write(text.String())
}

// to returns the gateway's addresses on the shared link.
func (o *office) to() []netip.Addr { return []netip.Addr{o.Addr4, o.Addr6} }

// kinds are requests that the gateway itself and the LAN host answer.
var kinds = []world.Kind{world.KindPing, world.KindTCP, world.KindUDP, world.KindClosedTCP, world.KindClosedUDP}

// wantReplies wants replies to requests by each router.
func (o *office) wantReplies(t *testing.T) {
	t.Helper()
	for _, r := range o.Routers {
		for _, to := range o.to() {
			box.WantReplies(t, r.Client, to, kinds)
		}
	}
}

// config returns the text of the configuration.
func (o *office) config(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(o.Config)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setConnectionMark gives the connections to the address a mark. conntrack(8) reports a "Protocol error" now and then when it sends
// its second message in another second than the first: it numbers messages by the time.
func (o *office) setConnectionMark(t *testing.T, to netip.Addr, mark string) {
	t.Helper()
	family := map[int]string{4: "ipv4", 6: "ipv6"}[box.FamilyOf(to)]
	box.Eventually(t, box.EventualTimeout, "the connection has another mark", func() bool {
		c := o.Gateway.Command(t.Context(), "conntrack", "-U", "-f", family, "-p", "tcp", "--orig-dst", to.String(), "--dport", fmt.Sprint(box.ServedPort), "--mark", mark)
		return c.Run() == nil
	})
}
