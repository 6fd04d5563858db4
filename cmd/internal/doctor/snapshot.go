package doctor

import (
	"net/netip"
	"slices"

	"replypath/marks/dnat"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/inspect"
	"replypath/uplinks/rpdb"
)

// Snapshot is the state of a host. Fields that could not be read are zero.
type Snapshot struct {
	Settings      uplinks.Settings  // without uplinks if there is no configuration
	ProbeFindings []inspect.Finding // about the uplinks' probes
	Facts         uplinks.Facts
	State         uplinks.State
	Rules         []*rpdb.Database // one per family, with the routes to a client on the Internet
	Names         rpdb.Names
	GroupNumbers  map[string]uplinks.Group // of the names of link groups

	Sysctls       map[uplinks.Tunable]string
	SysctlFiles   map[uplinks.Tunable]string // the file that sets the sysctl at boot
	RPFilterDrops uint64                     // IPReversePathFilter of /proc/net/netstat

	LinkAttrs map[string]uplinks.LinkAttributes // by link name
	Sockets   []UDPServer
	UDPHelp   UDPHelper // nil: nobody is helped

	Unconfigured []UnconfiguredReply // of the host's probable uplinks, if none is configured and there are several
	Egress       egress.State        // of the uplinks' links
	// UnknownRouters have forwarded packets to this host while doctor listened.
	UnknownRouters []UnknownRouter
	Unresolved     []string                   // uplinks that share their links, of whose routers no hardware address is known
	GatewayMACs    map[egress.LinkAddr]string // the raw hardware addresses from which gateways replied, where a comparison needs them

	// OtherGatewayMACs are those from which another host has replied for a gateway.
	OtherGatewayMACs map[egress.LinkAddr]string

	// EarlierPrograms are BPF programs of others, sorted by their links.
	EarlierPrograms []EarlierProgram

	Firewall       []foreign.Rule
	DNAT           dnat.Rules
	MissingTools   []Skipped // missing commands and extensions of iptables
	Flows          []uplinks.MarkedConnections
	Mismarked      []uplinks.MismarkedConnections
	ForeignSources []uplinks.ForeignSource
	ConntrackCount uint64 // nf_conntrack_count
	// NeighbourLimits are the largest numbers of neighbour entries, where they are known.
	NeighbourLimits map[uplinks.Family]int
	// Queues are the queues of netfilter that programs read (NFQUEUE), where QueuesKnown is set.
	Queues       []uint16
	QueuesKnown  bool
	ConntrackMax uint64 // nf_conntrack_max; 0 if unknown

	SavedRulesets  []SavedRuleset
	Networkd       Networkd
	MissingOptions []string // names of KernelOptions that the kernel was built without
	ProofError     string   // why test packets could not be injected; empty if they could, or if this was not tried
}

// UnconfiguredReply is where the kernel sends a reply from an uplink's address to the Internet.
type UnconfiguredReply struct {
	Link   string // of the uplink
	From   netip.Addr
	Egress string // empty: it has no route
}

// UDPServer is a bound UDP socket and its process.
type UDPServer struct {
	uplinks.Listener
	Process      string // command name; empty if unknown
	PID          int    // of Process
	KernelOwned  bool   // all processes could be read, and none has the socket
	PktInfoKnown bool   // PktInfo could be read
	// Peer is the client that a socket is connected to, Requested the address that it requested, which is not the socket's.
	Peer      netip.AddrPort
	Requested netip.Addr
	PktInfo   bool // the socket has IP_PKTINFO or IPV6_RECVPKTINFO: the process knows the destination address of requests
}

// EarlierProgram is a BPF program of another that packets meet before ours at a hook of a link, and that may not leave them to it.
type EarlierProgram struct {
	Link    string
	Ingress bool   // at the ingress of the link, otherwise at its egress
	Number  uint32 // by which bpftool(8) shows it
	Name    string // empty: unknown
}

// SavedRuleset is a file of firewall rules that is loaded at boot or on demand.
type SavedRuleset struct {
	Path   string
	Lines  []string // harmful lines, with their numbers
	AtBoot bool
	ByNFT  bool // loaded by nft(8), otherwise by iptables-restore(8)
	Native bool // the lines are of marks.NFTTable
}

// Networkd is the state and configuration of systemd-networkd.
type Networkd struct {
	Active       bool     // running or enabled
	Evidence     string   // of Active
	Lines        []string // ManageForeign... lines as written, with their files
	KeepsForeign bool     // configured to keep foreign rules and routes
}

// isApplied reports whether rules of replypath are in the kernel.
func (s Snapshot) isApplied() bool { return len(s.State.Rules) > 0 }

// presentUplinks returns the uplinks whose links exist.
func (s Snapshot) presentUplinks() (all []uplinks.Uplink) {
	for _, u := range s.Settings.Uplinks {
		if _, there := s.Facts.Links[u.Link]; there {
			all = append(all, u)
		}
	}
	return all
}

// mainDefaultLink returns the link of the preferred default route of table main, or "".
func (s Snapshot) mainDefaultLink(f uplinks.Family) (link string) {
	var best uplinks.NextHop
	for name, l := range s.Facts.Links {
		for _, hop := range l.Defaults {
			better := link == "" || hop.Metric < best.Metric || hop.Metric == best.Metric && name < link
			if hop.Family == f && hop.Table == uplinks.MainTable && better {
				link, best = name, hop
			}
		}
	}
	return link
}

// nonDefaultUplinks returns the present uplinks with an address of the family, except the one of mainDefaultLink.
func (s Snapshot) nonDefaultUplinks(f uplinks.Family) (all []uplinks.Uplink) {
	main := s.mainDefaultLink(f)
	return slices.DeleteFunc(s.presentUplinks(), func(u uplinks.Uplink) bool {
		return u.Link == main || !s.Facts.Links[u.Link].SourceAddr(f).IsValid()
	})
}
