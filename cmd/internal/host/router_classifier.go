package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"replypath/cmd/internal/bpf"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/procfs"

	"golang.org/x/sys/unix"
)

// routerClassifiers reads and writes the classifiers at ingress. It is used by the methods of Host of which one runs at a time.
type routerClassifiers struct {
	settings    uplinks.Settings
	classifiers *bpf.RouterClassifiers // nil: not opened
	refused     refusal
}

// set sets the settings whose routers are distinguished.
func (c *routerClassifiers) set(s uplinks.Settings) { c.settings, c.refused = s, refusal{} }

// open finds the place of the classifiers.
func (c *routerClassifiers) open() error {
	if c.classifiers != nil {
		return nil
	}
	classifiers, err := bpf.OpenRouterClassifiers()
	if err == nil {
		c.classifiers = classifiers
	}
	return err
}

// read adds the classifiers to the state, and to the facts why the kernel refuses them. The facts have the firewalls already.
func (c *routerClassifiers) read(facts *uplinks.Facts, state *uplinks.State) error {
	s := c.settings.ResolveLinks(*facts)
	wanted := len(s.RouterClassifiers(*facts)) > 0
	readForwarding(s, facts)
	err := c.open()
	var found map[int]bpf.RouterClassifier
	if err == nil {
		found, err = c.classifiers.Read()
	}
	switch {
	case err != nil && wanted:
		facts.RouterClassifierRefused = err.Error()
		return nil
	case c.classifiers == nil || errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return err
	}
	for index, f := range found {
		state.RouterClassifiers[classifierFound(*facts, index, f)] = true
	}
	if wanted && len(s.RouterClassifiers(*facts)) > 0 {
		c.refused.check(c.classifiers.Check)
		facts.RouterClassifierRefused = c.refused.text(false)
	}
	return nil
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

// setClassifier gives a link its classifier. What the kernel refuses is not tried again for a while, unless the link is gone.
func (c *routerClassifiers) setClassifier(want uplinks.RouterClassifier) error {
	if err := c.open(); err != nil {
		return err
	}
	set := bpf.RouterClassifier{Mask: uint32(want.Mask), IPv4: want.IPv4, IPv6: want.IPv6}
	for _, r := range want.RouterList() {
		set.Routers = append(set.Routers, bpf.Router{Mark: uint32(r.Mark), Table: uint32(r.Table), Addr: r.Addr})
	}
	for _, k := range want.KnownList() {
		mac, err := net.ParseMAC(k.MAC)
		if err != nil || len(mac) != len(bpf.KnownRouter{}.MAC) {
			return fmt.Errorf("the classifier of %s: %q is no hardware address of Ethernet", want.Link, k.MAC)
		}
		set.Known = append(set.Known, bpf.KnownRouter{MAC: [6]byte(mac), Mark: uint32(k.Mark)})
	}
	err := c.classifiers.Set(want.Index, set)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		c.refused = refusal{err, time.Now()}
	}
	return err
}

// SetRouterClassifier gives a link its classifier.
func (w *stepWriter) SetRouterClassifier(c uplinks.RouterClassifier) {
	w.flush()
	w.errs = append(w.errs, w.host.routerClassifiers.setClassifier(c))
}

// DelRouterClassifier takes the classifier of a link away.
func (w *stepWriter) DelRouterClassifier(c uplinks.RouterClassifier) {
	w.flush()
	err := w.host.routerClassifiers.open()
	if err == nil {
		err = w.host.routerClassifiers.classifiers.Delete(c.Index)
	}
	w.errs = append(w.errs, err)
}

// ReadRouterClassifiers adds the classifiers at ingress of the settings to the state, and to the facts, which have the firewalls, why
// the kernel refuses them. It needs CAP_BPF and CAP_NET_ADMIN.
func ReadRouterClassifiers(s uplinks.Settings, facts *uplinks.Facts, state *uplinks.State) error {
	var c routerClassifiers
	c.set(s)
	return c.read(facts, state)
}
