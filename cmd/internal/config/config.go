package config

import (
	"cmp"
	"slices"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// DefaultPath is the default of --config.
const DefaultPath = "/etc/replypath/replypath.toml"

// Config is a checked configuration with all defaults filled in.
type Config struct {
	uplinks.Settings
	Health   health.Settings // has the same Uplinks as Settings, in the same order
	Endpoint health.EndpointSettings
	Peer     health.PeerSettings
}

// defaults returns the configuration of an empty file.
func defaults() Config {
	return Config{
		Settings: uplinks.DefaultSettings(),
		Health:   health.Settings{Proof: health.DefaultProofSettings},
		Endpoint: health.DefaultEndpointSettings,
	}
}

// resolve checks the sources and fills in the defaults. It returns all mistakes; the Config is valid only if there are
// none.
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
		c.Peer = top.peer.resolve(c.Peer)
		c.Health.Proof = top.proof.resolve(c.Health.Proof)
		c.Health.OnChange = append(c.Health.OnChange, resolvePrograms(top.onChange)...)
	}
	c.resolveUplinks(uplinks, limit, probeDefaults, linkOnly)
	for _, top := range tops {
		c.resolveOutbound(top.outbound, uplinks, readable)
		c.udpAnswers(top.udp)
		c.acceleration(top.accelerate, uplinks)
		c.inside(top.inside, uplinks)
		c.interception(top.intercept, uplinks)
		c.resolveServices(top.prove, readable)
	}
	c.resolvePrefixes(uplinks)
	c.checkFoundRouters(uplinks)
	if readable && len(uplinks) == 0 && len(all) == 0 {
		sources[0].addNoUplinks()
	}
	c.sort()
	all.sort()
	return c, all
}

// resolveUplinks sets the uplinks and their probes. probeDefaults is a probe without keys of its own; linkOnly means that
// families without a probe are judged by the link's carrier.
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

// addNoUplinks reports that no uplink is configured, at the key "uplinks" if the file has one.
func (s *source) addNoUplinks() {
	at := textRange{}
	if v, ok := s.root().valueAt("uplinks"); ok {
		at = v.keyRange()
	}
	s.addMistake(at, "no uplink is configured", `add a table for each uplink, such as [uplinks.fibre]`)
}
