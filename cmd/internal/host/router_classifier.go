package host

import (
	"fmt"
	"net"
	"slices"

	"replypath/cmd/internal/bpf"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// routerClassifiers reads and writes the classifiers at ingress.
type routerClassifiers struct {
	linkPrograms[bpf.RouterClassifier]
}

// set sets the settings whose routers are distinguished.
func (c *routerClassifiers) set(s uplinks.Settings) { c.linkPrograms.set(s, bpf.OpenRouterClassifiers) }

// read adds the classifiers to the state, and to the facts why the kernel refuses them. The facts have the firewalls already.
func (c *routerClassifiers) read(facts *uplinks.Facts, state *uplinks.State) error {
	s := c.settings.ResolveLinks(*facts)
	// Those of links that do not forward count too: that they cannot be read is reported before the links forward.
	wanted := s.RouterClassifiers(*facts)
	readForwarding(s, facts)
	found, refused, err := c.linkPrograms.read(len(wanted) > 0)
	if err != nil {
		return err
	}
	for index, f := range found {
		state.RouterClassifiers[index] = classifierFound(*facts, index, f)
	}
	if refused.All == "" && slices.ContainsFunc(wanted, func(w uplinks.RouterClassifier) bool { return forwards(s, *facts, w.Link) }) {
		refused = c.check()
		for _, w := range wanted {
			if facts.Links[w.Link].Kind == "bridge" && bridgesMeetFirewall() {
				refused.Links[w.Index] = "its frames meet the firewall before a program at its ingress (" + bridgeFirewall + ")"
			}
		}
	}
	facts.RouterClassifierRefused = refused
	return nil
}

// bridgeFirewall is the part that the names of the sysctls of br_netfilter have in common by which the frames of bridges meet the rules for
// IPv4 and IPv6.
const bridgeFirewall = "net.bridge.bridge-nf-call-*"

// bridgeFirewallPaths are the files of those sysctls.
var bridgeFirewallPaths = []string{"net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"}

// bridgesMeetFirewall reports whether frames that come in by a bridge meet PREROUTING before its ingress. They have the mark of their
// connection there already, and a classifier would clear it: a strict source check drops them then.
func bridgesMeetFirewall() bool {
	return slices.ContainsFunc(bridgeFirewallPaths, func(path string) bool {
		on, known := procfs.Sysctl(path)
		return known && on != 0
	})
}

// readForwarding adds the paths of uplinks that share a link which does not forward packets to the facts.
func readForwarding(s uplinks.Settings, facts *uplinks.Facts) {
	for _, u := range s.Uplinks {
		if !s.SharesLink(u) {
			continue
		}
		for _, f := range facts.Families() {
			path := "net/ipv4/conf/" + u.Link + "/forwarding"
			if f == uplinks.IPv6 {
				path = "net/ipv6/conf/" + u.Link + "/forwarding"
			}
			if on, known := procfs.Sysctl(path); known && on != 0 {
				continue
			}
			if facts.NotForwarding == nil {
				facts.NotForwarding = map[uplinks.PathKey]bool{}
			}
			facts.NotForwarding[uplinks.PathKey{Uplink: u.Name, Family: f}] = true
		}
	}
}

// forwards reports whether the link, which several uplinks share, forwards packets of a family.
func forwards(s uplinks.Settings, f uplinks.Facts, link string) bool {
	return slices.ContainsFunc(s.Uplinks, func(u uplinks.Uplink) bool {
		return u.Link == link && slices.ContainsFunc(f.Families(), func(family uplinks.Family) bool {
			return u.Manages(family) && !f.NotForwarding[uplinks.PathKey{Uplink: u.Name, Family: family}]
		})
	})
}

// classifierFound returns a classifier that the link with the index has.
func classifierFound(f uplinks.Facts, index int, found bpf.RouterClassifier) uplinks.RouterClassifier {
	var routers []uplinks.ClassifiedRouter
	for _, r := range found.Routers {
		routers = append(routers, uplinks.ClassifiedRouter{Mark: marks.Mark(r.Mark), Table: uplinks.Table(r.Table), Addr: r.Addr})
	}
	var known []uplinks.KnownRouter
	for _, k := range found.Known {
		known = append(known, uplinks.KnownRouter{Mark: marks.Mark(k.Mark), MAC: net.HardwareAddr(k.MAC[:]).String()})
	}
	c := uplinks.NewRouterClassifier(f, index, marks.Mask(found.Mask), routers, known)
	c.IPv4, c.IPv6 = found.IPv4, found.IPv6
	return c
}

// classifierOf returns the classifier as the kernel gets it.
func classifierOf(want uplinks.RouterClassifier) (bpf.RouterClassifier, error) {
	set := bpf.RouterClassifier{Mask: uint32(want.Mask), IPv4: want.IPv4, IPv6: want.IPv6}
	for _, r := range want.Routers {
		set.Routers = append(set.Routers, bpf.Router{Mark: uint32(r.Mark), Table: uint32(r.Table), Addr: r.Addr})
	}
	for _, k := range want.Known {
		mac, err := net.ParseMAC(k.MAC)
		if err != nil || len(mac) != len(bpf.KnownRouter{}.MAC) {
			return set, fmt.Errorf("the classifier of %s: %q is no hardware address of Ethernet", want.Link, k.MAC)
		}
		set.Known = append(set.Known, bpf.KnownRouter{MAC: [6]byte(mac), Mark: uint32(k.Mark)})
	}
	return set, nil
}

// SetRouterClassifier gives a link its classifier.
func (w *stepWriter) SetRouterClassifier(c uplinks.RouterClassifier) {
	w.flush()
	set, err := classifierOf(c)
	if err == nil {
		err = w.host.routerClassifiers.setProgram(c.Index, set)
	}
	w.errs = append(w.errs, err)
}

// DelRouterClassifier takes the classifier of a link away.
func (w *stepWriter) DelRouterClassifier(c uplinks.RouterClassifier) {
	w.flush()
	w.errs = append(w.errs, w.host.routerClassifiers.deleteProgram(c.Index))
}

// ReadRouterClassifiers adds the classifiers at ingress of the settings to the state, and to the facts, which have the firewalls, why
// the kernel refuses them. It needs CAP_BPF and CAP_NET_ADMIN.
func ReadRouterClassifiers(s uplinks.Settings, facts *uplinks.Facts, state *uplinks.State) error {
	var c routerClassifiers
	c.set(s)
	return c.read(facts, state)
}
