package health

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// Findings says what will not be noticed, or told to more than it should be, although the settings can be carried out.
// s and u are of the same uplinks.
func Findings(s Settings, u uplinks.Settings, f uplinks.Facts) []inspect.Finding {
	var all []inspect.Finding
	paths := Paths(u, f)
	for _, watched := range s.Uplinks {
		paths := pathsWithAddress(watched.Name, paths)
		all = append(all, watched.gatewayOnlyFindings(paths)...)
		all = append(all, watched.unusedProbeFindings(u)...)
	}
	for _, service := range s.ProofServices {
		all = append(all, service.findings(u, f)...)
	}
	for _, source := range []netip.Addr{s.Proof.Source4, s.Proof.Source6} {
		if source.IsValid() && linkWithAddress(source, f) != "" {
			all = append(all, inspect.Finding{
				What:   fmt.Sprintf("the source %s of [proof] is an address of this host, on %s: the kernel lets no question from there come in", source, linkWithAddress(source, f)),
				Remedy: "write an address beyond the uplinks, or leave it out",
			})
		}
	}
	return all
}

// pathsWithAddress are the uplink's paths in the families that it has an address in; all of them when it has none.
func pathsWithAddress(uplink string, paths []Path) []Path {
	own := slices.DeleteFunc(slices.Clone(paths), func(p Path) bool { return p.Uplink != uplink })
	withAddress := slices.DeleteFunc(slices.Clone(own), func(p Path) bool { return !p.Source.IsValid() })
	if len(withAddress) > 0 {
		return withAddress
	}
	return own
}

// gatewayOnlyFindings says in which families the uplink counts as up although nobody beyond its gateway answers. What holds for all of
// them is said once.
func (u UplinkSettings) gatewayOnlyFindings(paths []Path) (all []inspect.Finding) {
	uniform := !slices.ContainsFunc(paths, func(p Path) bool { return u.gatewayOnlyFinding(p, "") != u.gatewayOnlyFinding(paths[0], "") })
	for i, p := range paths {
		scope := " for " + p.Family.String()
		if uniform {
			scope = ""
		}
		if found := u.gatewayOnlyFinding(p, scope); found.What != "" && (i == 0 || !uniform) {
			all = append(all, found)
		}
	}
	return all
}

func (u UplinkSettings) gatewayOnlyFinding(p Path, scope string) inspect.Finding {
	const consequence = ", which does not show that the Internet is behind it"
	addProbe := fmt.Sprintf(`add [uplinks.%s.probes.NAME] with target = "icmp://HOST"`, u.Name)
	probes, gateways := u.ProbesFor(p), 0
	for _, q := range probes {
		if q.Target.Kind == Gateway {
			gateways++
		}
	}
	finding := func(what, remedy string) inspect.Finding {
		return inspect.Finding{What: fmt.Sprintf("uplink %s %s%s", u.Name, fmt.Sprintf(what, scope), consequence), Remedy: remedy}
	}
	switch {
	case len(probes) == 0:
		return finding("has no probe%s: only its link is looked at", addProbe)
	case len(u.ProbesIn(p.Family)) == 0:
		return finding("has no probe%s: only its gateway is asked", addProbe)
	case gateways == len(probes):
		return finding("has a probe of its gateway only%s", addProbe+" and leave the gateway's out")
	case gateways >= u.required(len(probes)):
		return finding("is up%s when its gateway alone answers", fmt.Sprintf("leave the gateway's probe out, or use quorum = %d", gateways+1))
	}
	return inspect.Finding{}
}

// unusedProbeFindings names the probes that no family of the uplink can carry.
func (u UplinkSettings) unusedProbeFindings(s uplinks.Settings) (all []inspect.Finding) {
	i := slices.IndexFunc(s.Uplinks, func(of uplinks.Uplink) bool { return of.Name == u.Name })
	if i < 0 {
		return nil
	}
	for _, p := range u.Probes {
		if slices.ContainsFunc(uplinks.Families[:], func(f uplinks.Family) bool { return s.Uplinks[i].Manages(f) && p.Target.SupportsFamily(f) }) {
			continue
		}
		all = append(all, inspect.Finding{
			What:   fmt.Sprintf("uplink %s: probe %s is never asked: no gateway is given for the family of %s", u.Name, p.Name, p.Target.Host),
			Remedy: "ask an address of the other family, or a host name",
		})
	}
	return all
}

// findings says that no uplink has the address of the service.
func (s ProofService) findings(u uplinks.Settings, f uplinks.Facts) []inspect.Finding {
	link := linkWithAddress(s.Addr, f)
	if !s.Addr.IsValid() || slices.ContainsFunc(u.Uplinks, func(of uplinks.Uplink) bool { return of.Link == link }) {
		return nil
	}
	return []inspect.Finding{{
		What:   fmt.Sprintf("prove: no uplink has the address %s of %s port %d now", s.Addr, s.Proto, s.Port),
		Remedy: "correct the address, or write the uplink's name in its place",
	}}
}

// linkWithAddress is the link that has the address; empty when none has.
func linkWithAddress(a netip.Addr, f uplinks.Facts) string {
	for name, l := range f.Links {
		if slices.ContainsFunc(l.Addrs, func(own uplinks.Addr) bool { return own.Prefix.Addr() == a }) {
			return name
		}
	}
	return ""
}

// Findings says who else may read what the endpoint tells.
func (e EndpointSettings) Findings() (all []inspect.Finding) {
	exposure := fmt.Sprintf("the endpoint listens at %s, which others reach", e.Listen)
	if !e.Listen.IsValid() || e.Listen.Addr().IsLoopback() {
		return nil
	}
	if e.TokenFile == "" {
		all = append(all, inspect.Finding{What: exposure + ", and asks for no token", Remedy: "set token_file in [endpoint]"})
	}
	if e.CertFile == "" {
		all = append(all, inspect.Finding{What: exposure + ", and has no TLS: on the way it can be read and changed, a token too", Remedy: "set tls_cert and tls_key in [endpoint]"})
	}
	return all
}
