package main

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/cmd/internal/config"
	"replypath/uplinks"
)

// autoPrefixes returns the networks of each uplink with prefixes = "auto", nil if there is no such uplink.
func autoPrefixes(c config.Config, facts uplinks.Facts) map[string][]netip.Prefix {
	var all map[string][]netip.Prefix
	found := c.ResolveLinks(facts).AutoPrefixes(facts)
	for _, p := range c.Outbound.Prefixes {
		if p.Auto && all == nil {
			all = map[string][]netip.Prefix{}
		}
		if p.Auto {
			all[p.Uplink] = append([]netip.Prefix{}, found.By[p.Uplink]...)
		}
	}
	return all
}

// printAutoPrefixes prints the networks of each uplink with prefixes = "auto", in the order of the configuration.
func (p *program) printAutoPrefixes(c config.Config, facts uplinks.Facts) error {
	all := autoPrefixes(c, facts)
	for _, u := range c.Outbound.Prefixes {
		if !u.Auto {
			continue
		}
		var networks []string
		for _, n := range all[u.Uplink] {
			networks = append(networks, n.String())
		}
		if networks == nil {
			networks = []string{"none is delegated now"}
		}
		if _, err := fmt.Fprintf(p.stdout, "%s: prefixes = \"auto\": %s\n", u.Uplink, strings.Join(networks, ", ")); err != nil {
			return err
		}
	}
	return nil
}
