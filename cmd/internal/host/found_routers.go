package host

import (
	"net"
	"slices"
	"sync"

	"replypath/cmd/internal/statedir"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// foundRoutersName is the name of the file with the routers that were found by their packets: after a restart they are known before
// the first packet.
const foundRoutersName = "found-routers"

// foundRouters keeps the routers that were found on the links of uplinks with AnyRouter. Safe for concurrent use.
type foundRouters struct {
	state statedir.Dir

	mu       sync.Mutex
	settings uplinks.Settings
	loaded   bool
	changed  bool // since the file was written, or that cannot be read
	all      []uplinks.FoundRouter
	last     marks.ID // that was given: an id that has become free is used as late as possible
	unsaved  error    // why the file is not written

	searched bool // for neighbour entries
	entries  int  // that the last search has found
	foreign  map[uplinks.NeighbourKey]bool
}

// set sets the settings for which routers are found.
func (m *foundRouters) set(s uplinks.Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = s
}

// list returns the routers that the last reading returned, and those added since.
func (m *foundRouters) list() []uplinks.FoundRouter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

// read returns the routers that are no router of an uplink. The others are forgotten: those of an uplink that finds none any more,
// those whose id is an uplink's now, and those that have become known. save says that the file is written; it only saves time.
func (m *foundRouters) read(f uplinks.Facts, save bool) []uplinks.FoundRouter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.settings.FindsRouters() && (m.loaded && len(m.all) == 0 && !m.changed || !save) {
		return nil
	}
	if !m.loaded {
		saved, err := readFoundRouters(m.state)
		m.loaded, m.all, m.changed = true, saved, m.changed || err != nil && m.settings.FindsRouters() // what cannot be read is written anew
	}
	f.FoundRouters = m.all
	s := m.settings.ResolveLinks(f)
	wanted, ids := s.WithFoundRouters(f), s.FoundRouterIDs()
	before := len(m.all)
	seen := map[marks.ID]bool{}
	m.all = slices.DeleteFunc(m.all, func(r uplinks.FoundRouter) bool {
		valid := isRouterMAC(r.MAC) && slices.Contains(ids, r.ID) && !seen[r.ID]
		seen[r.ID] = true
		return !valid || !slices.ContainsFunc(wanted.Uplinks, func(u uplinks.Uplink) bool { return u.ID == r.ID })
	})
	m.changed = m.changed || len(m.all) != before
	if save && m.changed {
		m.unsaved = m.state.WriteJSON(foundRoutersName, m.all)
		m.changed = m.unsaved != nil
	}
	return slices.Clone(m.all)
}

// isRouterMAC reports whether the text is the hardware address of one host, in the form that rules have.
func isRouterMAC(text string) bool {
	mac, err := net.ParseMAC(text)
	return err == nil && mac.String() == text && IsHostMAC(mac)
}

// IsHostMAC reports whether the address is that of one host on Ethernet: a reply to another one goes to many hosts, or to none.
func IsHostMAC(mac net.HardwareAddr) bool {
	return len(mac) == ethernetAddrSize && mac[0]&groupBit == 0 && !slices.Equal(mac, make([]byte, ethernetAddrSize))
}

// SavedFoundRouters returns the routers that are saved, none if they cannot be read: the file only saves time.
func SavedFoundRouters(d statedir.Dir) []uplinks.FoundRouter {
	saved, _ := readFoundRouters(d)
	return saved
}

func readFoundRouters(d statedir.Dir) ([]uplinks.FoundRouter, error) {
	var saved []uplinks.FoundRouter
	if _, err := d.ReadJSON(foundRoutersName, &saved); err != nil {
		return nil, err
	}
	return saved, nil
}

// AddFoundRouter gives an id to a router on the uplink's link, one that is not to be avoided if there is one. ok is false when
// there is none left.
func (h *Host) AddFoundRouter(uplink, mac string, avoid map[marks.ID]bool) (r uplinks.FoundRouter, ok bool) {
	m := &h.found
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.all, func(r uplinks.FoundRouter) bool { return r.Uplink == uplink && r.MAC == mac }); i >= 0 {
		return m.all[i], true
	}
	id, free := m.nextID(avoid)
	if !free && len(avoid) > 0 {
		id, free = m.nextID(nil)
	}
	if !free || !isRouterMAC(mac) {
		return r, false
	}
	r = uplinks.FoundRouter{Uplink: uplink, MAC: mac, ID: id}
	m.all, m.last, m.changed = append(m.all, r), id, true
	slices.SortFunc(m.all, func(a, b uplinks.FoundRouter) int { return int(b.ID) - int(a.ID) })
	h.routers.mu.Lock()
	defer h.routers.mu.Unlock()
	h.routers.announce()
	return r, true
}

// nextID returns the first free id below the one that was given last, else the first one; none of those to be avoided.
func (m *foundRouters) nextID(avoided map[marks.ID]bool) (next marks.ID, free bool) {
	for _, id := range m.settings.FoundRouterIDs() {
		if avoided[id] || m.isForeign(id) || slices.ContainsFunc(m.all, func(r uplinks.FoundRouter) bool { return r.ID == id }) {
			continue
		}
		if !free || id < m.last && next >= m.last {
			next, free = id, true
		}
	}
	return next, free
}

// ForgetFoundRouters takes the ids of the routers back.
func (h *Host) ForgetFoundRouters(forgotten []uplinks.FoundRouter) {
	m := &h.found
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = slices.DeleteFunc(m.all, func(r uplinks.FoundRouter) bool { return slices.Contains(forgotten, r) })
	m.changed = m.changed || len(forgotten) > 0
}

// isDamaged reports whether a neighbour entry that stands for a found router is not what it should be.
func (m *foundRouters) isDamaged(n egress.Neighbour) bool {
	if !uplinks.IsFoundRouterAddr(n.Addr) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.all, func(r uplinks.FoundRouter) bool {
		return uplinks.FoundRouterAddr(uplinks.FamilyOf(n.Addr), r.ID) == n.Addr
	})
	return i >= 0 && (n.State != egress.Permanent || egress.MACText(n.MAC) != m.all[i].MAC)
}
