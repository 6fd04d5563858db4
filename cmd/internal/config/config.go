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
	Endpoint health.EndpointSettings
}

// defaults is the configuration of an empty file.
func defaults() Config {
	return Config{
		Settings: uplinks.DefaultSettings(),
		Health:   health.Settings{Proof: health.DefaultProofSettings},
		Endpoint: health.DefaultEndpointSettings,
	}
}

// resolve checks what the sources say and completes it with the defaults. The mistakes are all there are; the
// Config means something only when there are none.
func resolve(sources []*source) (Config, Mistakes) {
	var all Mistakes
	var tops []fileMain
	var uplinks []fileUplink
	readable := true
	for _, s := range sources {
		s.mistakes = &all
		top, up, ok := s.extract()
		tops, uplinks, readable = append(tops, top), append(uplinks, up...), readable && ok
	}
	c := defaults()
	limit := idLimit{mask: c.Mask, known: readable}
	probeDefaults, linkOnly := health.NewProbe("", health.Target{}), false
	for _, top := range tops {
		limit.known = c.settings(top) && limit.known
		limit.mask = c.Mask
		probeDefaults = top.probes.resolve(probeDefaults)
		linkOnly = top.otherwise.linkOnly() || linkOnly
		c.Endpoint = top.endpoint.resolve(c.Endpoint)
		c.Health.Proof = top.proof.resolve(c.Health.Proof)
		c.Health.OnChange = append(c.Health.OnChange, resolvePrograms(top.onChange)...)
	}
	c.resolveUplinks(uplinks, limit, probeDefaults, linkOnly)
	for _, top := range tops {
		c.inside(top.inside, uplinks)
		c.resolveServices(top.prove, readable)
	}
	if readable && len(uplinks) == 0 && len(all) == 0 {
		sources[0].addNoUplinks()
	}
	c.sort()
	all.sort()
	return c, all
}

// resolveUplinks takes over the uplinks and how they are watched. usual is a probe that says nothing itself; alone are links in
// families without a probe.
func (c *Config) resolveUplinks(ups []fileUplink, limit idLimit, probeDefaults health.Probe, linkOnly bool) {
	for i, u := range ups {
		u.checkDistinct(ups[:i])
		c.Uplinks = append(c.Uplinks, u.resolve(limit))
		c.Health.Uplinks = append(c.Health.Uplinks, u.resolveHealth(probeDefaults, linkOnly))
	}
}

func (c *Config) sort() {
	ids := map[string]marks.ID{}
	for _, u := range c.Uplinks {
		ids[u.Name] = u.ID
	}
	slices.SortStableFunc(c.Uplinks, func(a, b uplinks.Uplink) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(c.Health.Uplinks, func(a, b health.UplinkSettings) int { return cmp.Compare(ids[a.Name], ids[b.Name]) })
}

// addNoUplinks says that there is no uplink, at the key "uplinks" when there is one.
func (s *source) addNoUplinks() {
	at := textRange{}
	if v, ok := s.root().valueAt("uplinks"); ok {
		at = v.keyRange()
	}
	s.addMistake(at, "no uplink is configured", `add a table for each, such as [uplinks.fibre]`)
}
