package uplinks

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks"
)

// Interception is the configuration of the packets that local transparent proxies take.
type Interception struct {
	Bit        marks.Mask // one bit of the marks of packets and connections, outside Settings.Mask
	Intercepts []Intercept
}

// DefaultInterceptBit is free beside Docker, CNI portmap, kube-proxy, the AWS CNI, Calico and Tailscale.
const DefaultInterceptBit marks.Mask = interceptBit

// Intercept is a class of connections that a transparent proxy on this host takes.
type Intercept struct {
	Name      string
	Links     []string // ingress
	Protocols []string // tcp, udp
	Ports     []marks.PortRange
	Sources   NetworkList
	To        NetworkList
	// Proxy is where the proxy listens; without an address: on any address of the host.
	Port    uint16
	Addr    netip.Addr
	Without Without
	Check   string `json:",omitempty"` // URL that a proxy which works answers: tcp or http; empty: none is asked
}

// NetworkList selects addresses: those in In, or all if it is empty, but for those in Out.
type NetworkList struct{ In, Out []netip.Prefix }

// Without says what happens to new connections while no proxy takes them.
type Without string

// Pass routes the connections as without interception; DropNew drops their packets.
const (
	Pass    Without = "pass"
	DropNew Without = "drop"
)

// Proxy is a socket that takes intercepted connections.
type Proxy struct {
	Family Family
	Proto  string     // tcp or udp
	Addr   netip.Addr // the zero Addr: any address
	Port   uint16
	Check  string // Intercept.Check
}

// AddrPort returns where the proxy listens; the address is not valid if it is any.
func (p Proxy) AddrPort() netip.AddrPort { return netip.AddrPortFrom(p.Addr, p.Port) }

// String returns the proxy for people, as "tcp port 50080 in IPv4".
func (p Proxy) String() string {
	at := ""
	if p.Addr.IsValid() {
		at = " of " + p.Addr.String()
	}
	return fmt.Sprintf("%s port %d%s in %s", p.Proto, p.Port, at, p.Family)
}

// ProxyState is what is known about the socket of a proxy.
type ProxyState string

// The states of a proxy. A socket without IP_TRANSPARENT is not given the packets of others by the kernel.
const (
	ProxyUnknown        ProxyState = ""
	ProxyListening      ProxyState = "listening"
	ProxyNobody         ProxyState = "nobody"
	ProxyNotTransparent ProxyState = "not-transparent"
	ProxyNotAnswering   ProxyState = "not-answering" // it listens, but does not answer its check
)

// Takes reports whether the proxy takes new connections, as far as is known.
func (s ProxyState) Takes() bool { return s == ProxyListening || s == ProxyUnknown }

// Families returns the families in which the intercept takes connections.
func (i Intercept) Families() (all []Family) {
	for _, f := range Families {
		if (!i.Addr.IsValid() || FamilyOf(i.Addr) == f) && i.Sources.selects(f) && i.To.selects(f) {
			all = append(all, f)
		}
	}
	return all
}

// Proxies returns the sockets of the intercept, one for each family and protocol.
func (i Intercept) Proxies() (all []Proxy) {
	for _, f := range i.Families() {
		for _, proto := range i.Protocols {
			all = append(all, i.proxy(f, proto))
		}
	}
	return all
}

func (i Intercept) proxy(f Family, proto string) Proxy {
	return Proxy{f, proto, i.Addr, i.Port, i.Check}
}

// Proxies returns the sockets of all intercepts, each once.
func (s Settings) Proxies() (all []Proxy) {
	if s.Interception == nil {
		return nil
	}
	for _, i := range s.Interception.Intercepts {
		for _, p := range i.Proxies() {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// selects reports whether the list selects addresses of the family.
func (l NetworkList) selects(f Family) bool {
	return len(l.In) == 0 || len(inFamily(l.In, f)) > 0
}

// inFamily returns the networks of the family.
func inFamily(networks []netip.Prefix, f Family) (all []netip.Prefix) {
	for _, p := range networks {
		if FamilyOf(p.Addr()) == f {
			all = append(all, p)
		}
	}
	return all
}

// NarrowedUnlike reports whether one of the intercepts is limited to other sources or destinations than the other, so that both
// may take the same service of the same link.
func (i Intercept) NarrowedUnlike(other Intercept) bool {
	return !i.Sources.equal(other.Sources) || !i.To.equal(other.To)
}

func (l NetworkList) equal(other NetworkList) bool {
	return slices.Equal(l.In, other.In) && slices.Equal(l.Out, other.Out)
}
