package doctor

import (
	"slices"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Seen is what was seen of a host. What could not be looked at is empty.
type Seen struct {
	Settings uplinks.Settings  // without uplinks where there is no configuration
	Watched  []uplinks.Finding // of how the uplinks are watched
	Facts    uplinks.Facts
	State    uplinks.State
	Rules    []*rpdb.Database // of each family, without routes
	Names    rpdb.Names

	Values  map[uplinks.Tunable]string
	SetBy   map[uplinks.Tunable]string // the file that sets it at boot
	Dropped uint64                     // packets that the source check has refused (IPReversePathFilter)

	Natures map[string]uplinks.Nature // of links, by their names
	Sockets []Server

	Firewall []marks.Foreign
	Tools    []Unseen // what of iptables is missing
	Flows    []uplinks.MarkedFlow
	Tracked  uint64 // connections
	Room     uint64 // for connections; 0: not known

	Saved    []SavedRules
	Networkd Networkd
	Kernel   []string // options that the kernel was built without
	Unproven string   // why nothing could be shown; empty: it could be, or was not tried
}

// Server is a bound UDP socket, and who has it.
type Server struct {
	uplinks.Listener
	Process string // empty: none is seen
	ID      int    // of the process
	Kernel  bool   // no process that can be seen has it, and all can
	Asked   bool   // it was seen whether Tells
	Tells   bool   // the process is told at which address a question came in
}

// SavedRules is a file of firewall rules that is loaded at boot, or when somebody says so.
type SavedRules struct {
	Path   string
	Lines  []string // with their numbers, those that would harm
	AtBoot bool
	Native bool // nft(8) loads it; otherwise iptables-restore
}

// Networkd is how systemd-networkd is set up.
type Networkd struct {
	Active bool     // it runs, or starts at boot
	Why    string   // how that was seen
	Says   []string // ManageForeign... as written, with the files
	Keeps  bool     // it is told to leave the rules and the routes of others alone
}

// applied reports whether rules of ours are in the kernel.
func (s Seen) applied() bool { return len(s.State.Rules) > 0 }

// present are the uplinks whose links are there.
func (s Seen) present() (all []uplinks.Uplink) {
	for _, u := range s.Settings.Uplinks {
		if _, there := s.Facts.Links[u.Link]; there {
			all = append(all, u)
		}
	}
	return all
}

// main is the link of main's preferred default route; empty: there is none.
func (s Seen) main(f uplinks.Family) (link string) {
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

// others are the present uplinks that main's default route of the family does not lead by, and that have an address.
func (s Seen) others(f uplinks.Family) (all []uplinks.Uplink) {
	main := s.main(f)
	return slices.DeleteFunc(s.present(), func(u uplinks.Uplink) bool {
		return u.Link == main || !s.Facts.Links[u.Link].Source(f).IsValid()
	})
}
