package health

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// Findings says what will not be noticed, or told to more than it should be, although the settings can be carried out.
// s and u are of the same uplinks.
func Findings(s Settings, u uplinks.Settings, f uplinks.Facts) []uplinks.Finding {
	var all []uplinks.Finding
	paths := Paths(u, f)
	for _, w := range s.Uplinks {
		own := present(w.Name, paths)
		all = append(all, w.blind(own)...)
		all = append(all, w.idle(u)...)
	}
	for _, service := range s.Prove {
		all = append(all, service.findings(u, f)...)
	}
	for _, asker := range []netip.Addr{s.Proof.Source4, s.Proof.Source6} {
		if asker.IsValid() && holder(asker, f) != "" {
			all = append(all, uplinks.Finding{
				What:   fmt.Sprintf("the source %s of [proof] is an address of this host, on %s: the kernel lets no question from there come in", asker, holder(asker, f)),
				Remedy: "write an address beyond the uplinks, or leave it out",
			})
		}
	}
	return all
}

// present are the uplink's paths in the families that it has an address in; all of them when it has none.
func present(uplink string, paths []Path) []Path {
	own := slices.DeleteFunc(slices.Clone(paths), func(p Path) bool { return p.Uplink != uplink })
	with := slices.DeleteFunc(slices.Clone(own), func(p Path) bool { return !p.Source.IsValid() })
	if len(with) > 0 {
		return with
	}
	return own
}

// blind says in which families the uplink counts as up although nobody beyond its gateway answers. What holds for all of
// them is said once.
func (u Uplink) blind(own []Path) (all []uplinks.Finding) {
	same := !slices.ContainsFunc(own, func(p Path) bool { return u.blindness(p, "") != u.blindness(own[0], "") })
	for i, p := range own {
		where := " for " + p.Family.String()
		if same {
			where = ""
		}
		if found := u.blindness(p, where); found.What != "" && (i == 0 || !same) {
			all = append(all, found)
		}
	}
	return all
}

func (u Uplink) blindness(p Path, where string) uplinks.Finding {
	const shows = ", which does not show that the Internet is behind it"
	beyond := fmt.Sprintf(`add [uplinks.%s.probes.NAME] with target = "icmp://HOST"`, u.Name)
	asked, gateways := u.Asked(p), 0
	for _, q := range asked {
		if q.Target.Kind == Gateway {
			gateways++
		}
	}
	found := func(what, remedy string) uplinks.Finding {
		return uplinks.Finding{What: fmt.Sprintf("uplink %s %s%s", u.Name, fmt.Sprintf(what, where), shows), Remedy: remedy}
	}
	switch {
	case len(asked) == 0:
		return found("has no probe%s: only its link is looked at", beyond)
	case len(u.In(p.Family)) == 0:
		return found("has no probe%s: only its gateway is asked", beyond)
	case gateways == len(asked):
		return found("has a probe of its gateway only%s", beyond+" and leave the gateway's out")
	case gateways >= u.need(len(asked)):
		return found("is up%s when its gateway alone answers", fmt.Sprintf("leave the gateway's probe out, or use quorum = %d", gateways+1))
	}
	return uplinks.Finding{}
}

// idle names the probes that no family of the uplink can carry.
func (u Uplink) idle(s uplinks.Settings) (all []uplinks.Finding) {
	i := slices.IndexFunc(s.Uplinks, func(of uplinks.Uplink) bool { return of.Name == u.Name })
	if i < 0 {
		return nil
	}
	for _, p := range u.Probes {
		if slices.ContainsFunc(uplinks.Families[:], func(f uplinks.Family) bool { return s.Uplinks[i].Manages(f) && p.Target.In(f) }) {
			continue
		}
		all = append(all, uplinks.Finding{
			What:   fmt.Sprintf("uplink %s: probe %s is never asked: no gateway is given for the family of %s", u.Name, p.Name, p.Target.Host),
			Remedy: "ask an address of the other family, or a host name",
		})
	}
	return all
}

// findings says that no uplink has the address of the service.
func (s Service) findings(u uplinks.Settings, f uplinks.Facts) []uplinks.Finding {
	link := holder(s.To, f)
	if !s.To.IsValid() || slices.ContainsFunc(u.Uplinks, func(of uplinks.Uplink) bool { return of.Link == link }) {
		return nil
	}
	return []uplinks.Finding{{
		What:   fmt.Sprintf("prove: no uplink has the address %s of %s port %d now", s.To, s.Proto, s.Port),
		Remedy: "correct the address, or write the uplink's name in its place",
	}}
}

// holder is the link that has the address; empty when none has.
func holder(a netip.Addr, f uplinks.Facts) string {
	for name, l := range f.Links {
		if slices.ContainsFunc(l.Addrs, func(own uplinks.Addr) bool { return own.Prefix.Addr() == a }) {
			return name
		}
	}
	return ""
}

// Findings says who else may read what the endpoint tells.
func (e Endpoint) Findings() (all []uplinks.Finding) {
	at := fmt.Sprintf("the endpoint listens at %s, which others reach", e.Listen)
	if !e.Listen.IsValid() || e.Listen.Addr().IsLoopback() {
		return nil
	}
	if e.TokenFile == "" {
		all = append(all, uplinks.Finding{What: at + ", and asks for no token", Remedy: "set token_file in [endpoint]"})
	}
	if e.CertFile == "" {
		all = append(all, uplinks.Finding{What: at + ", and has no TLS: on the way it can be read and changed, a token too", Remedy: "set tls_cert and tls_key in [endpoint]"})
	}
	return all
}
