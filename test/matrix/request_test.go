package matrix

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// kind is a kind of the client's requests.
type kind string

const (
	ping    kind = "ping"
	tcp     kind = "tcp 443"
	web     kind = "tcp 8080"
	closed  kind = "closed port"
	udp     kind = "udp"
	dnatTCP kind = "dnat tcp"
	dnatUDP kind = "dnat udp"
)

var (
	allKinds   = []kind{ping, tcp, web, closed, udp, dnatTCP, dnatUDP}
	ownKinds   = []kind{ping, tcp, web, closed, udp} // the gateway replies
	dnatKinds  = []kind{dnatTCP, dnatUDP}            // a host of the LAN replies
	localPorts = map[kind]uint16{tcp: 443, web: 8080, closed: 999, udp: 5353, dnatTCP: 2222, dnatUDP: 5000}
	worldKinds = map[kind]world.Kind{ping: world.KindPing, tcp: world.KindTCP, web: world.KindTCP, closed: world.KindClosedTCP, udp: world.KindUDP, dnatTCP: world.KindTCP, dnatUDP: world.KindUDP}
)

// path is an uplink, by its index, in a family.
type path struct{ uplink, family int }

func (p path) String() string { return fmt.Sprintf("eth%d IPv%d", p.uplink, p.family) }

var allPaths = []path{{0, 4}, {0, 6}, {1, 4}, {1, 6}}

// losses are the kinds of requests whose replies are lost, of each path.
type losses map[path][]kind

// lost returns the losses of one uplink in both families.
func lost(uplink int, kinds ...kind) losses {
	return losses{{uplink, 4}: kinds, {uplink, 6}: kinds}
}

// lostIn returns the losses of the second uplink in one family.
func lostIn(family int, kinds ...kind) losses {
	return losses{{1, family}: kinds}
}

// and returns the losses of both.
func (l losses) and(more losses) losses {
	both := losses{}
	for _, p := range allPaths {
		if kinds := slices.Concat(l[p], more[p]); len(kinds) > 0 {
			both[p] = kinds
		}
	}
	return both
}

// String returns the losses in the order of paths and kinds, with a word for groups of kinds and of paths.
func (l losses) String() string {
	var parts []string
	for uplink := range 2 {
		four, six := kindsText(l[path{uplink, 4}]), kindsText(l[path{uplink, 6}])
		switch {
		case four == six && four != "":
			parts = append(parts, fmt.Sprintf("eth%d: %s", uplink, four))
		default:
			for family, text := range map[int]string{4: four, 6: six} {
				if text != "" {
					parts = append(parts, fmt.Sprintf("eth%d IPv%d: %s", uplink, family, text))
				}
			}
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

func kindsText(kinds []kind) string {
	holds := func(group []kind) bool {
		return !slices.ContainsFunc(group, func(k kind) bool { return !slices.Contains(kinds, k) })
	}
	var words []string
	switch {
	case holds(allKinds):
		return "all"
	case holds(ownKinds):
		words = append(words, "all of the host")
	default:
		for _, k := range ownKinds {
			if slices.Contains(kinds, k) {
				words = append(words, string(k))
			}
		}
	}
	if holds(dnatKinds) {
		return strings.Join(append(words, "dnat"), ", ")
	}
	for _, k := range dnatKinds {
		if slices.Contains(kinds, k) {
			words = append(words, string(k))
		}
	}
	return strings.Join(words, ", ")
}

// serve starts the services that the requests are for, and translates those for the LAN.
func serve(b *box.Box) {
	b.T.Helper()
	b.Gateway.ServeTCP(localPorts[tcp])
	b.Gateway.ServeTCP(localPorts[web])
	for port := uint16(81); port <= 84; port++ { // they are preferred to 8080, which is asked only where a rule selects it
		b.Gateway.ServeTCP(port)
	}
	for _, u := range b.Uplinks {
		for _, at := range u.Addrs() {
			b.Gateway.ServeUDPAt(netip.AddrPortFrom(at, localPorts[udp]))
		}
	}
	b.LAN.ServeTCP(22)
	b.LAN.ServeUDP(localPorts[dnatUDP], world.Pktinfo)
	for _, u := range b.Uplinks {
		for family, host := range map[int]string{4: b.LAN4.String(), 6: "[" + b.LAN6.String() + "]"} {
			b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-i", u.Link.Name, "-p", "tcp", "--dport", "2222", "-j", "DNAT", "--to", host+":22")
			b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-i", u.Link.Name, "-p", "udp", "--dport", "5000", "-j", "DNAT", "--to", host+":5000")
		}
	}
}

const (
	patience     = 40 * time.Second        // for a reply that must come
	lossPatience = 1300 * time.Millisecond // for one that must not
)

// send sends all requests at once, and returns those that were not replied to as they should. Replies that must be lost
// are not waited for long.
func send(b *box.Box, expected losses) losses {
	b.T.Helper()
	result := losses{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, p := range allPaths {
		for _, k := range allKinds {
			u := b.Uplinks[p.uplink]
			q := world.Request{Kind: worldKinds[k], To: netip.AddrPortFrom(u.Addrs()[p.family/6], localPorts[k]), Timeout: patience}
			if slices.Contains(expected[p], k) {
				q.Timeout = lossPatience
			}
			all.Go(func() {
				if b.Client.Send(q).OK {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				result[p] = append(result[p], k)
			})
		}
	}
	all.Wait()
	return result
}
