package host

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
	"replypath/uplinks/egress"
)

const (
	// routerMACsName is the name of the file with the learnt hardware addresses of routers: after a restart they are known before
	// the first packet.
	routerMACsName = "macs"
	// supersededMACTime is how long a hardware address is kept after its router has another one. Packets of both nodes of a VRRP
	// pair arrive while one takes over.
	supersededMACTime = 60 * time.Second

	ethernetAddrSize = 6
)

// routerMACs learns the hardware addresses of the routers of uplinks that share their links, from the neighbour table. The
// last address of a router is kept also while the router does not answer. Safe for concurrent use.
type routerMACs struct {
	state statedir.Dir

	mu       sync.Mutex
	settings uplinks.Settings
	shared   bool              // several uplinks are on one link, as far as is known
	watched  chan struct{}     // closed when settings or shared change; nil: nobody waits
	learnt   learntMACs        // nil: not read yet
	links    map[string]string // of the uplinks, by their names
	changed  bool              // since the file was written, or that cannot be read
	unsaved  error             // why the file is not written
	// routers has the uplinks of each router's address, as the last reading for these settings has found them; nil: there was none.
	routers        map[egress.LinkAddr][]string
	routersChanged chan struct{}  // of Host.RoutersChanged; nil: nobody waits
	family         uplinks.Family // of the entry that has changed last
}

// learntMACs has the hardware addresses of each router's address, the current one first, by uplink.
type learntMACs map[string]map[netip.Addr][]learntMAC

type learntMAC struct {
	MAC   string    `json:"mac"`
	Until time.Time `json:"until,omitzero"` // of a superseded address: when it is forgotten
}

// set sets the settings whose routers are learnt.
func (m *routerMACs) set(s uplinks.Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings, m.routers, m.unsaved = s, nil, nil
	m.setShared(s.HasSharedLinks())
}

// setShared sets whether several uplinks are on one link, after the settings or the names of links have changed.
func (m *routerMACs) setShared(shared bool) {
	m.shared = shared
	if m.watched != nil {
		close(m.watched)
		m.watched = nil
	}
}

// read returns the hardware addresses of the routers of each uplink that shares its link, nil if there are none. neighbours reads
// the neighbour table. save says that what is learnt is saved.
func (m *routerMACs) read(f uplinks.Facts, neighbours func() ([]egress.Neighbour, error), save bool) (map[string][]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.settings.ResolveLinks(f)
	if shared := s.HasSharedLinks(); shared != m.shared {
		m.setShared(shared)
	}
	if !m.shared {
		return nil, nil
	}
	entries, err := neighbours()
	if err != nil {
		return nil, err
	}
	if m.learnt == nil {
		saved, err := readMACs(m.state)
		m.learnt, m.changed = saved, m.changed || err != nil // what cannot be read is written anew
	}
	before := m.learnt
	m.links = map[string]string{}
	for _, u := range s.Uplinks {
		m.links[u.Name] = u.Link
	}
	m.learn(s, f, entries, time.Now())
	if save && (m.changed || m.unsaved != nil || !maps.EqualFunc(before, m.learnt, equalMACs)) {
		m.unsaved, m.changed = m.state.WriteJSON(routerMACsName, m.learnt), false
	}
	return m.learnt.byUplink(m.links), nil
}

// readMACs returns the hardware addresses that are saved. The file only saves time: none are an answer too.
func readMACs(d statedir.Dir) (learntMACs, error) {
	l := learntMACs{}
	if _, err := d.ReadJSON(routerMACsName, &l); err != nil {
		return learntMACs{}, err
	}
	if !l.valid() {
		return learntMACs{}, nil
	}
	return l, nil
}

// HasSavedRouter reports whether a hardware address of the uplink's routers is saved.
func HasSavedRouter(d statedir.Dir, uplink string) bool {
	saved, _ := readMACs(d)
	return len(saved[uplink]) > 0
}

// valid reports whether all hardware addresses are in the form that rules have.
func (l learntMACs) valid() bool {
	for _, addrs := range l {
		for _, known := range addrs {
			for _, k := range known {
				if mac, err := net.ParseMAC(k.MAC); err != nil || len(mac) != ethernetAddrSize || mac.String() != k.MAC {
					return false
				}
			}
		}
	}
	return true
}

// learn takes a reading of the neighbour table, for settings whose links are resolved.
func (m *routerMACs) learn(s uplinks.Settings, f uplinks.Facts, entries []egress.Neighbour, now time.Time) {
	macs := map[egress.LinkAddr]string{}
	for _, n := range entries {
		if mac, ok := usableMAC(n); ok {
			macs[n.Where()] = mac
		}
	}
	next := learntMACs{}
	m.routers = map[egress.LinkAddr][]string{}
	for _, r := range s.SharedRouters(f) {
		next[r.Uplink] = map[netip.Addr][]learntMAC{}
		for _, a := range r.Addrs {
			key := egress.LinkAddr{Link: f.Links[r.Link].Index, Addr: a}
			m.routers[key] = append(m.routers[key], r.Uplink)
			if known := nextMACs(m.learnt[r.Uplink][a], macs[key], now); len(known) > 0 {
				next[r.Uplink][a] = known
			}
		}
	}
	m.learnt = next
}

// nextMACs returns the hardware addresses of a router's address after a reading; mac is empty while it has none.
func nextMACs(known []learntMAC, mac string, now time.Time) (next []learntMAC) {
	if mac == "" && len(known) > 0 {
		mac = known[0].MAC
	}
	if mac == "" {
		return nil
	}
	next = []learntMAC{{MAC: mac}}
	for _, k := range known {
		if k.Until.IsZero() {
			k.Until = now.Add(supersededMACTime)
		}
		if k.MAC != mac && now.Before(k.Until) {
			next = append(next, k)
		}
	}
	return next
}

// usableMAC returns the hardware address of a neighbour in text form, and whether packets can come from it.
func usableMAC(n egress.Neighbour) (string, bool) {
	return egress.MACText(n.MAC), n.State.Valid() && n.State&egress.NoARP == 0 && len(n.MAC) == ethernetAddrSize
}

// byUplink returns the hardware addresses of each uplink, without superseded ones that another uplink on its link has now: on another
// link, such as another VLAN of the same router, the address is no other uplink's.
func (l learntMACs) byUplink(links map[string]string) map[string][]string {
	type place struct{ link, mac string }
	owners := map[place]string{}
	for uplink, addrs := range l {
		for _, known := range addrs {
			owners[place{links[uplink], known[0].MAC}] = uplink
		}
	}
	all := map[string][]string{}
	for uplink, addrs := range l {
		for _, known := range addrs {
			for i, k := range known {
				if owner, taken := owners[place{links[uplink], k.MAC}]; i == 0 || !taken || owner == uplink {
					all[uplink] = append(all[uplink], k.MAC)
				}
			}
		}
		slices.Sort(all[uplink])
		all[uplink] = slices.Compact(all[uplink])
	}
	return all
}

func equalMACs(a, b map[netip.Addr][]learntMAC) bool {
	return maps.EqualFunc(a, b, func(a, b []learntMAC) bool {
		return slices.EqualFunc(a, b, func(a, b learntMAC) bool { return a.MAC == b.MAC && a.Until.Equal(b.Until) })
	})
}
