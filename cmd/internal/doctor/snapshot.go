package doctor

import (
	"slices"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/rpdb"
)

// Snapshot is what was seen of a host. What could not be looked at is empty.
type Snapshot struct {
	Settings      uplinks.Settings  // without uplinks where there is no configuration
	ProbeFindings []inspect.Finding // of how the uplinks are watched
	Facts         uplinks.Facts
	State         uplinks.State
	Rules         []*rpdb.Database // of each family, without routes
	Names         rpdb.Names

	Sysctls       map[uplinks.Tunable]string
	SysctlFiles   map[uplinks.Tunable]string // the file that sets it at boot
	RPFilterDrops uint64                     // packets that the source check has refused (IPReversePathFilter)

	LinkAttrs map[string]uplinks.LinkAttributes // of links, by their names
	Sockets   []UDPServer

	Firewall       []marks.ForeignRule
	MissingTools   []Skipped // what of iptables is missing
	Flows          []uplinks.MarkedConnections
	ConntrackCount uint64 // connections
	ConntrackMax   uint64 // for connections; 0: not known

	SavedRulesets  []SavedRuleset
	Networkd       Networkd
	MissingOptions []string // options that the kernel was built without
	ProofError     string   // why nothing could be shown; empty: it could be, or was not tried
}

// UDPServer is a bound UDP socket, and who has it.
type UDPServer struct {
	uplinks.Listener
	Process      string // empty: none is seen
	PID          int    // of the process
	KernelOwned  bool   // no process that can be seen has it, and all can
	PktInfoKnown bool   // it was seen whether PktInfo
	PktInfo      bool   // the process is told at which address a question came in
}

// SavedRuleset is a file of firewall rules that is loaded at boot, or when somebody says so.
type SavedRuleset struct {
	Path   string
	Lines  []string // with their numbers, those that would harm
	AtBoot bool
	ByNFT  bool // nft(8) loads it; otherwise iptables-restore
}

// Networkd is how systemd-networkd is set up.
type Networkd struct {
	Active       bool     // it runs, or starts at boot
	Evidence     string   // how that was seen
	Lines        []string // ManageForeign... as written, with the files
	KeepsForeign bool     // it is told to leave the rules and the routes of others alone
}

// isApplied reports whether rules of ours are in the kernel.
func (s Snapshot) isApplied() bool { return len(s.State.Rules) > 0 }

// presentUplinks are the uplinks whose links are there.
func (s Snapshot) presentUplinks() (all []uplinks.Uplink) {
	for _, u := range s.Settings.Uplinks {
		if _, there := s.Facts.Links[u.Link]; there {
			all = append(all, u)
		}
	}
	return all
}

// mainDefaultLink is the link of main's preferred default route; empty: there is none.
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

// nonDefaultUplinks are the present uplinks that main's default route of the family does not lead by, and that have an address.
func (s Snapshot) nonDefaultUplinks(f uplinks.Family) (all []uplinks.Uplink) {
	main := s.mainDefaultLink(f)
	return slices.DeleteFunc(s.presentUplinks(), func(u uplinks.Uplink) bool {
		return u.Link == main || !s.Facts.Links[u.Link].SourceAddr(f).IsValid()
	})
}
