package world

// The ports that the clients' ends of exchanges take in turn. They lie above the ephemeral ports that the kernel chooses
// (net.ipv4.ip_local_port_range) and above every port that a test serves.
const (
	firstClientPort = 61000
	clientPorts     = 1<<16 - firstClientPort
)

// ClientPort returns a port for the client's end of an exchange. No exchange of this world has had it lately.
func (w *World) ClientPort() uint16 {
	return clientPort(w.exchanges.Add(1))
}

func clientPort(exchange uint64) uint16 { return uint16(firstClientPort + exchange%clientPorts) }

// Phase is a part of a test. Packets of exchanges that began in it can be distinguished from late ones of an earlier part: TCP
// segments that are sent again, errors of ICMP.
type Phase struct{ exchanges uint64 } // that began before it

// NewPhase begins a phase.
func (w *World) NewPhase() Phase { return Phase{w.exchanges.Load()} }

// Earlier reports whether a packet belongs to an exchange that began before the phase. An exchange is known by its client's
// port, or by the identifier of an echo, as ClientPort has given it; a packet of any other is not earlier.
func (p Phase) Earlier(packet Packet) bool {
	for _, port := range []uint16{packet.SrcPort, packet.DstPort, uint16(packet.ICMPID), packet.QuotedSrcPort, packet.QuotedDstPort} {
		if port >= firstClientPort {
			return p.began(port)
		}
	}
	return false
}

// began reports whether the exchange that took a port last before the phase is the one that the port stands for: fewer
// exchanges than there are ports have begun since.
func (p Phase) began(port uint16) bool {
	for n := p.exchanges; n > 0 && n+clientPorts/2 > p.exchanges; n-- {
		if clientPort(n) == port {
			return true
		}
	}
	return false
}
