package routers

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// wantAnswered wants a reply to one request of each kind by the router, to a port of the gateway, without another try.
func (o *office) wantAnswered(t *testing.T, when string, r *router, port uint16) {
	t.Helper()
	for _, to := range o.to() {
		for _, kind := range []world.Kind{world.KindTCP, world.KindUDP, world.KindPing} {
			q := world.Request{Kind: kind, To: netip.AddrPortFrom(to, port), NoResend: true}
			if a := r.Client.Send(q); !a.OK {
				t.Errorf("%s, %s by %s to %s: %v", when, kind, r.Name, to, a)
			}
		}
	}
}

// Connections that begin once the neighbour entries have changed go by the router that they came in by, however long the rules do not
// follow: here nobody changes them. That is so of a new hardware address, and of those that two routers have exchanged, which the
// rules know as each other's. It is not so while a program of another service accepts all packets before the classifier, which doctor says.
func TestConnectionsGoByTheNeighbourTableWithoutAService(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		box.ServeAll(o.Gateway)
		o.Gateway.ServeTCP(laterPort)
		o.Gateway.ServeUDP(laterPort, world.Pktinfo)
		o.Apply()
		dsl, cable := o.Routers[0], o.Routers[1]
		strays := []strayCounter{dsl.countStrays(cable, laterPort), cable.countStrays(dsl, laterPort)}
		for _, c := range []struct{ when, dsl, cable string }{
			{"before", dsl.MAC, cable.MAC},
			{"a new address", dsl.MAC, "02:00:00:0b:03:01"},
			{"both are new", "02:00:00:0b:01:01", "02:00:00:0b:03:02"},
			{"exchanged", cable.MAC, dsl.MAC},
		} {
			for r, mac := range map[*router]string{dsl: c.dsl, cable: c.cable} {
				r.setMAC(mac)
				o.neighbour(r, mac, "permanent")
			}
			for _, r := range o.Routers {
				o.wantAnswered(t, c.when, r, laterPort)
			}
			for i, s := range strays {
				if n := s.packets(t); n > 0 {
					t.Errorf("%s: %d packets have left by %s that are not its own", c.when, n, o.Routers[i].Name)
				}
			}
		}
		const accept, finding = 0, "program-before-ours"
		detach := box.AttachProgram(t, o.Gateway, "eth1", "accept_all", ebpf.AttachTCXIngress, link.Head(), accept)
		q := world.Request{Kind: world.KindUDP, To: netip.AddrPortFrom(o.Addr4, laterPort), NoResend: true, ExpectTimeout: true, Timeout: 300 * time.Millisecond}
		if a := cable.Client.Send(q); a.OK {
			t.Errorf("behind a program that accepts all packets: %v", a)
		}
		o.WantFinding(o.RunDoctor(), box.IsWarning, finding, "classifier at the ingress of eth1", "accept_all", "restart that service")
		detach()
		box.AttachProgram(t, o.Gateway, "eth1", "accept_all", ebpf.AttachTCXIngress, link.Tail(), accept)
		for _, r := range o.Routers {
			o.wantAnswered(t, "before that program", r, laterPort)
		}
		if d := o.RunDoctor(); len(d.Of(finding)) > 0 {
			t.Errorf("the program is behind the classifier, and still: %s", d)
		}
	})
}

// A classifier is there while several uplinks share a link that forwards packets, and the kernel allows it. Without it the rules are
// those that need none, and replies are right all the same; one warning names what is missing, also where nothing is forwarded yet, but not
// that a host forwards nothing.
func TestClassifierIsThereWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		box.ServeAll(o.Gateway)
		for _, c := range []struct {
			what, capabilities        string
			shared, forwards, noPlace bool // noPlace: there is no BPF file system for the pins
			pins, warnings            int
		}{
			{"one uplink on each link", "+all", false, true, false, 0, 0},
			{"no capability", "-bpf,-sys_admin", true, true, false, 0, 1},
			{"a shared link", "-all,+net_admin,+net_raw,+bpf", true, true, false, 4, 0},
			{"nothing is forwarded", "+all", true, false, false, 0, 0},
			{"nothing is forwarded, and no BPF file system", "+all", true, false, true, 0, 1},
			{"again", "+all", true, true, false, 4, 0},
			{"no longer shared", "+all", false, true, false, 0, 0},
		} {
			uplinks := []string{"", ""}
			if !c.shared {
				uplinks = uplinks[1:]
			}
			o.configureFirst(uplinks...)
			for _, family := range []string{"ipv4", "ipv6"} {
				o.Gateway.SetSysctl("net."+family+".conf.eth1.forwarding", map[bool]string{true: "1", false: "0"}[c.forwards])
			}
			command := append([]string{"setpriv", "--bounding-set", c.capabilities, "--", box.Binary}, o.Command(t.Context(), "apply").Args[1:]...)
			if c.noPlace {
				command = slices.Concat([]string{"unshare", "--mount", "sh", "-c", `umount --all --types bpf && exec "$@"`, "sh"}, command)
			}
			r := o.RunCommand(o.Gateway.Command(t.Context(), command[0], command[1:]...))
			warnings := strings.Count(r.Stdout+r.Stderr, "connections by a router whose hardware address changes")
			if pins := o.Gateway.Pins("ingress", ""); r.Status != 0 || len(pins) != c.pins || warnings != c.warnings {
				t.Errorf("%s: status %d, the pins %v, %d warnings:\n%s%s", c.what, r.Status, pins, warnings, r.Stdout, r.Stderr)
			}
			for _, family := range []int{4, 6} {
				taken := "-m mark --mark 0x300/0x1f00 -m conntrack"
				if backend == box.Nftables {
					taken = "marked2-map"
				}
				if strings.Contains(o.rules(family), taken) != (c.pins > 0) {
					t.Errorf("%s: IPv%d has the rules\n%s", c.what, family, o.rules(family))
				}
			}
			if c.shared {
				o.wantReplies(t)
			}
		}
		o.configure("", "")
		if r := o.Must(3, "plan"); strings.Count(r.Stdout, "# a BPF program at the ingress of eth1 marks") != 1 {
			t.Errorf("plan prints\n%s", r.Stdout)
		}
		o.Apply()
		o.Must(0, "plan")
		o.Must(0, "flush")
		if pins := o.Gateway.Pins("ingress", ""); len(pins) > 0 {
			t.Errorf("after flush there are %v", pins)
		}
	})
}
