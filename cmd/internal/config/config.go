package config

import (
	"cmp"
	"slices"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// DefaultPath is the configuration file that is read when no other is named.
const DefaultPath = "/etc/replypath/replypath.toml"

// Config is the configuration as believed: complete and checked.
type Config struct {
	uplinks.Settings
	Health   health.Settings // Uplinks are the same as in Settings, in the same order
	Endpoint health.Endpoint
}

// defaults is the configuration of an empty file.
func defaults() Config {
	return Config{
		Settings: uplinks.DefaultSettings(),
		Health:   health.Settings{Proof: health.DefaultProving},
		Endpoint: health.DefaultEndpoint,
	}
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
	c := defaults()
	limit := idLimit{mask: c.Mask, known: readable}
	usual, alone := health.NewProbe("", health.Target{}), false
	for _, top := range tops {
		limit.known = c.settings(top) && limit.known
		limit.mask = c.Mask
		usual = top.probes.believe(usual)
		alone = top.otherwise.alone() || alone
		c.Endpoint = top.endpoint.believe(c.Endpoint)
		c.Health.Proof = top.proof.believe(c.Health.Proof)
		c.Health.OnChange = append(c.Health.OnChange, believePrograms(top.onChange)...)
	}
	c.uplinks(ups, limit, usual, alone)
	for _, top := range tops {
		c.inside(top.inside, ups)
		c.prove(top.prove, readable)
	}
	if readable && len(ups) == 0 && len(all) == 0 {
		sources[0].none()
	}
	c.sort()
	all.sort()
	return c, all
}

// uplinks takes over the uplinks and how they are watched. usual is a probe that says nothing itself; alone are links in
// families without a probe.
func (c *Config) uplinks(ups []fileUplink, limit idLimit, usual health.Probe, alone bool) {
	for i, u := range ups {
		u.distinct(ups[:i])
		c.Uplinks = append(c.Uplinks, u.believe(limit))
		c.Health.Uplinks = append(c.Health.Uplinks, u.watched(usual, alone))
	}
}

func (c *Config) sort() {
	ids := map[string]marks.ID{}
	for _, u := range c.Uplinks {
		ids[u.Name] = u.ID
	}
	slices.SortStableFunc(c.Uplinks, func(a, b uplinks.Uplink) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(c.Health.Uplinks, func(a, b health.Uplink) int { return cmp.Compare(ids[a.Name], ids[b.Name]) })
}

// none says that there is no uplink, at the key "uplinks" when there is one.
func (s *source) none() {
	at := place{}
	if v, ok := s.root().value("uplinks"); ok {
		at = v.keyPlace()
	}
	s.wrong(at, "no uplink is configured", `add a table for each, such as [uplinks.fibre]`)
}
