package health

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// Findings returns what an operator should know about settings that are valid: uplinks whose failure would go unnoticed,
// probes that are never sent, and services and sources of [proof] that do not fit the host. Both settings are of the same
// uplinks.
func Findings(s Settings, u uplinks.Settings, f uplinks.Facts) []inspect.Finding {
	var all []inspect.Finding
	u = u.ResolveLinks(f)
	paths := Paths(u, f)
	all = append(all, s.gatewayOnlyFindings(paths)...)
	for _, uplink := range s.Uplinks {
		all = append(all, uplink.unusedProbeFindings(u)...)
	}
	for _, service := range s.ProofServices {
		all = append(all, service.findings(u, f)...)
	}
	for _, source := range []netip.Addr{s.Proof.Source4, s.Proof.Source6} {
		if source.IsValid() && linkWithAddress(source, f) != "" {
			all = append(all, inspect.Finding{
				What:   fmt.Sprintf("the source %s of [proof] is an address of this host, on %s: the kernel drops requests from it as martians", source, linkWithAddress(source, f)),
				Remedy: "use an address beyond the uplinks, or remove it",
			})
		}
	}
	return all
}

// pathsWithAddress returns the uplink's paths in the families in which it has an address, or all of them if it has none.
func pathsWithAddress(uplink string, paths []Path) []Path {
	own := slices.DeleteFunc(slices.Clone(paths), func(p Path) bool { return p.Uplink != uplink })
	withAddress := slices.DeleteFunc(slices.Clone(own), func(p Path) bool { return !p.Source.IsValid() })
	if len(withAddress) > 0 {
		return withAddress
	}
	return own
}

// gatewayOnlyFindings returns the findings of UplinkSettings.gatewayOnlyFindings, those that several uplinks have once.
func (s Settings) gatewayOnlyFindings(paths []Path) (all []inspect.Finding) {
	const anyName = "UPLINK"
	var order []inspect.Finding
	names := map[inspect.Finding][]string{}
	own := map[inspect.Finding]inspect.Finding{}
	for _, u := range s.Uplinks {
		its := pathsWithAddress(u.Name, paths)
		nameless := u
		nameless.Name = anyName
		found := u.gatewayOnlyFindings("uplink "+u.Name, its)
		for i, f := range nameless.gatewayOnlyFindings("", its) {
			if names[f] == nil {
				order, own[f] = append(order, f), found[i]
			}
			names[f] = append(names[f], u.Name)
		}
	}
	for _, f := range order {
		if len(names[f]) == 1 {
			all = append(all, own[f])
			continue
		}
		f.What = "each of the uplinks " + strings.Join(names[f], ", ") + f.What
		all = append(all, f)
	}
	return all
}

// gatewayOnlyFindings names the families in which the uplink is up while no host beyond its gateway answers. A finding that
// is the same for all families is returned once. Each begins with the subject.
func (u UplinkSettings) gatewayOnlyFindings(subject string, paths []Path) (all []inspect.Finding) {
	uniform := !slices.ContainsFunc(paths, func(p Path) bool {
		return u.gatewayOnlyFinding(subject, "", p) != u.gatewayOnlyFinding(subject, "", paths[0])
	})
	for i, p := range paths {
		scope := " for " + p.Family.String()
		if uniform {
			scope = ""
		}
		if found := u.gatewayOnlyFinding(subject, scope, p); found.What != "" && (i == 0 || !uniform) {
			all = append(all, found)
		}
	}
	return all
}

// gatewayOnlyFinding returns the zero Finding if a host beyond the gateway must answer for the path to be up.
func (u UplinkSettings) gatewayOnlyFinding(subject, scope string, p Path) inspect.Finding {
	const consequence = ", which says nothing about the Internet behind it"
	addProbe := fmt.Sprintf(`add [uplinks.%s.probes.NAME] with target = "icmp://HOST"`, u.Name)
	probes, gateways := u.ProbesFor(p), 0
	for _, q := range probes {
		if q.Target.Kind == Gateway {
			gateways++
		}
	}
	finding := func(what, remedy string) inspect.Finding {
		return inspect.Finding{What: subject + " " + fmt.Sprintf(what, scope) + consequence, Remedy: remedy}
	}
	switch {
	case len(probes) == 0:
		return finding("has no probe%s: it is judged by its link alone", addProbe)
	case len(u.ProbesIn(p.Family)) == 0:
		return finding("has no probe%s: only its gateway is probed", addProbe)
	case gateways == len(probes):
		return finding("probes its gateway only%s", addProbe+" and remove the gateway's")
	case gateways >= u.Required(len(probes)):
		return finding("is up%s when only its gateway answers", fmt.Sprintf("remove the gateway's probe, or set quorum = %d", gateways+1))
	}
	return inspect.Finding{}
}

// unusedProbeFindings names the probes whose target supports no family of the uplink.
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
			What:   fmt.Sprintf("uplink %s: probe %s is never sent: the uplink has no gateway for the family of %s", u.Name, p.Name, p.Target.Host),
			Remedy: "probe an address of the other family, or a host name",
		})
	}
	return all
}

// findings returns a finding if no uplink has the address of the service.
func (s ProofService) findings(u uplinks.Settings, f uplinks.Facts) []inspect.Finding {
	link := linkWithAddress(s.Addr, f)
	if !s.Addr.IsValid() || slices.ContainsFunc(u.Uplinks, func(of uplinks.Uplink) bool { return of.Link == link || slices.Contains(of.VIPs, s.Addr) }) {
		return nil
	}
	return []inspect.Finding{{
		What:   fmt.Sprintf("prove: no uplink has the address %s of %s port %d", s.Addr, s.Proto, s.Port),
		Remedy: "correct the address, or write the uplink's name in its place",
	}}
}

// linkWithAddress returns the name of the link that has the address, or "".
func linkWithAddress(a netip.Addr, f uplinks.Facts) string {
	for name, l := range f.Links {
		if slices.ContainsFunc(l.Addrs, func(own uplinks.Addr) bool { return own.Prefix.Addr() == a }) {
			return name
		}
	}
	return ""
}

// Findings warns of an endpoint that other hosts reach without a token or without TLS.
func (e EndpointSettings) Findings() (all []inspect.Finding) {
	if !e.Listen.IsValid() || e.Listen.Addr().IsLoopback() {
		return nil
	}
	exposure := fmt.Sprintf("the endpoint listens at %s, which other hosts reach, ", e.Listen)
	if e.TokenFile == "" {
		all = append(all, inspect.Finding{What: exposure + "and requires no token", Remedy: "set token_file in [endpoint]"})
	}
	if e.CertFile == "" {
		all = append(all, inspect.Finding{What: exposure + "without TLS: the status and the token can be read on the way", Remedy: "set tls_cert and tls_key in [endpoint]"})
	}
	return all
}

// Findings warns of a token that is sent without TLS.
func (p PeerSettings) Findings() []inspect.Finding {
	if p.TokenFile == "" || strings.HasPrefix(p.URL, "https://") {
		return nil
	}
	return []inspect.Finding{{
		What:   fmt.Sprintf("the token of [peer] is sent to %s without TLS and can be read on the way", p.URL),
		Remedy: "set tls_cert and tls_key in [endpoint] of the peer, and write url with https://",
	}}
}
