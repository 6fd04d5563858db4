package firsthop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"replypath/health"
	"replypath/test/world"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

// probedLink is an uplink of a host, with the far end.
type probedLink struct {
	near, far *world.Link
	mac       net.HardwareAddr // of the far end
	paths     []health.Path    // IPv4, IPv6
}

// joinGateways joins a host by links to gateways that all have the same address in IPv6.
func joinGateways(w *world.World, count int) (host *world.Host, links []probedLink) {
	host = w.Host("gw")
	for i := range count {
		near, far := w.Join(host, fmt.Sprintf("eth%d", i), w.Host(fmt.Sprintf("isp%d", i)), "port")
		near.Addr(fmt.Sprintf("198.19.%d.2/24", i))
		far.Addr(fmt.Sprintf("198.19.%d.1/24", i), "fe80::1/64")
		path := health.Path{Link: near.Name, Index: near.Index}
		path4, path6 := path, path
		path4.Source, path4.Gateway = netip.MustParseAddr(fmt.Sprintf("198.19.%d.2", i)), netip.MustParseAddr(fmt.Sprintf("198.19.%d.1", i))
		path6.Gateway = netip.MustParseAddr("fe80::1")
		links = append(links, probedLink{near, far, hardwareAddr(far), []health.Path{path4, path6}})
	}
	return host, links
}

// hardwareAddr returns the hardware address of a link.
func hardwareAddr(l *world.Link) (mac net.HardwareAddr) {
	l.Host.Do(func() {
		if i, err := net.InterfaceByName(l.Name); err == nil {
			mac = i.HardwareAddr
		}
	})
	return mac
}

// awaitProbe probes until the gateway answers.
func awaitProbe(t *testing.T, a *Prober, p health.Path) {
	t.Helper()
	for began := time.Now(); ; {
		o := a.Probe(t.Context(), p, health.Probe{Timeout: time.Second})
		if o.Err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s by %s: %v", p.Gateway, p.Link, o.Err)
		}
	}
}

// Probes of many uplinks at once share their sockets: the answer of a gateway counts for its own link, although all have the same
// address, and is the one of the hardware that answers.
func TestProbesOfManyLinksShareSockets(t *testing.T) {
	host, links := joinGateways(world.New(t), 12)
	host.Do(func() {
		a := New(nil)
		defer a.Close()
		var all []health.Path
		for _, l := range links {
			for _, p := range l.paths {
				awaitProbe(t, a, p) // duplicate address detection has ended at both ends
			}
			all = append(all, l.paths...)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		found := HardwareAddrs(ctx, all)
		for _, l := range links {
			for _, p := range l.paths {
				if mac := found[GatewayAddr(&p)]; mac != string(l.mac) {
					t.Errorf("%s by %s: %x, want %s", p.Gateway, p.Link, mac, l.mac)
				}
			}
		}
		silent := links[3]
		silent.far.Down()
		short := health.Probe{Timeout: 100 * time.Millisecond}
		for _, p := range silent.paths {
			if o := a.Probe(t.Context(), p, short); o.Err == nil || o.RTT != 0 || o.Sent.IsZero() {
				t.Errorf("%s: %+v", p.Gateway, o)
			}
		}
		for _, p := range links[4].paths {
			awaitProbe(t, a, p)
		}
		silent.far.Up()
		silent.far.Addr("fe80::1/64") // it was removed with the link
		for _, p := range silent.paths {
			awaitProbe(t, a, p)
		}
	})
}

// A link that is recreated under the same name is another one, which the path does not know, and whose addresses are its own.
func TestProbesFollowTheLinkOfThePath(t *testing.T) {
	w := world.New(t)
	host, links := joinGateways(w, 1)
	host.Do(func() {
		a := New(nil)
		defer a.Close()
		old := links[0]
		for _, p := range old.paths {
			awaitProbe(t, a, p)
		}
		old.near.Delete()
		for _, p := range old.paths {
			if o := a.Probe(t.Context(), p, health.Probe{Timeout: time.Second}); !errors.Is(o.Err, unix.ENODEV) && !errors.Is(o.Err, unix.ENXIO) {
				t.Errorf("%s: %v, want that the interface has disappeared", p.Gateway, o.Err)
			}
		}
		near, far := w.Join(host, old.near.Name, old.far.Host, "port")
		near.Addr("198.19.0.2/24")
		far.Addr("198.19.0.1/24", "fe80::1/64")
		for _, p := range old.paths {
			if o := a.Probe(t.Context(), p, health.Probe{Timeout: time.Second}); !errors.Is(o.Err, unix.ENODEV) && !errors.Is(o.Err, unix.ENXIO) && !errors.Is(o.Err, unix.ENETUNREACH) {
				t.Errorf("%s: %v, want that the interface has disappeared", p.Gateway, o.Err)
			}
			p.Index = near.Index
			awaitProbe(t, a, p)
		}
	})
}
