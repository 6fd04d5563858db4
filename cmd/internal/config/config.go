package config

import (
	"cmp"
	"slices"

	"replypath/uplinks"
)

// DefaultPath is the configuration file that is read when no other is named.
const DefaultPath = "/etc/replypath/replypath.toml"

// Config is the configuration as believed: complete and checked.
type Config struct {
	uplinks.Settings
	Probes []Probe // in the order of their uplinks' ids, then of their names
}

// Probe is a question that is put through an uplink to learn whether it is alive.
type Probe struct {
	Uplink string // the uplink's name
	Name   string
	Target string // icmp://HOST, tcp://HOST:PORT, http://..., https://..., or Gateway
}

// believe checks what the sources say and completes it with the defaults. The mistakes are all there are; the
// Config means something only when there are none.
func believe(sources []*source) (Config, Mistakes) {
	var all Mistakes
	var tops []fileTop
	var ups []fileUplink
	readable := true
	for _, s := range sources {
		s.told = &all
		top, up, ok := s.written()
		tops, ups, readable = append(tops, top), append(ups, up...), readable && ok
	}
	c := Config{Settings: uplinks.DefaultSettings()}
	limit := idLimit{mask: c.Mask, known: readable}
	for _, top := range tops {
		limit.known = c.settings(top) && limit.known
		limit.mask = c.Mask
	}
	c.uplinks(ups, limit)
	for _, top := range tops {
		c.inside(top.inside, ups)
	}
	if readable && len(ups) == 0 && len(all) == 0 {
		sources[0].none()
	}
	c.sort()
	all.sort()
	return c, all
}

// uplinks takes over the uplinks and their probes.
func (c *Config) uplinks(ups []fileUplink, limit idLimit) {
	for i, u := range ups {
		u.distinct(ups[:i])
		c.Uplinks = append(c.Uplinks, u.believe(limit))
		for _, p := range u.probes {
			c.Probes = append(c.Probes, p.believe(u.name))
		}
	}
}

func (c *Config) sort() {
	ids := map[string]int{}
	for _, u := range c.Uplinks {
		ids[u.Name] = int(u.ID)
	}
	slices.SortStableFunc(c.Uplinks, func(a, b uplinks.Uplink) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(c.Probes, func(a, b Probe) int {
		return cmp.Or(cmp.Compare(ids[a.Uplink], ids[b.Uplink]), cmp.Compare(a.Name, b.Name))
	})
}

// none says that there is no uplink, at the key "uplinks" when there is one.
func (s *source) none() {
	at := place{}
	if v, ok := s.root().value("uplinks"); ok {
		at = v.keyPlace()
	}
	s.wrong(at, "no uplink is configured", `add a table for each, such as [uplinks.fibre]`)
}
