package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

var (
	outboundKeys = keys{
		{"default", `"fibre"`},
		{"masquerade", `"ipv4"`},
		{"policies", `{ balanced = { tiers = [["fibre:3", "lte"]] } }, or as [outbound.policies.balanced]`},
		{"rules", `{ mail = { dport = 25, use = "fibre" } }, or as [outbound.rules.mail]`},
	}
	policyKeys = keys{
		{"tiers", `[["fibre:3", "cable:1"], ["lte"]]`},
		{"sticky", `"connection"`},
		{"last_resort", `"main"`},
		{"failover", `"move"`},
		{"failback", `"new"`},
		{"avoid_degraded", "true"},
	}
	steeringKeys = keys{
		{"from", `"198.18.0.50", or ["198.18.0.0/24", "2001:db8:f::/64"]`},
		{"to", `"203.0.113.0/24"`},
		{"not", "true"},
		{"iif", `"lan0"`},
		{"oif", `"eth0"`},
		{"ipproto", `"tcp"`},
		{"sport", `"5060-5061"`},
		{"dport", "25"},
		{"uidrange", `"1000-1999"`},
		{"dsfield", `"0x10"`},
		{"tos", `"0x10"`},
		{"fwmark", `"0x1/0xff"`},
		{"tun_id", "7"},
		{"l3mdev", "true"},
		{"use", `"fibre"`},
	}
)

// fileOutbound is the table [outbound] as written.
type fileOutbound struct {
	value
	standard, masquerade *stringValue // the key "default" is a word of Go
	policies             []filePolicy
	rules                []fileSteering
}

// outboundAt reads the table at the key; nil if there is none.
func (t table) outboundAt(key string) *fileOutbound {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	below, ok := v.asTable()
	if !ok {
		v.addTypeMistake("a table", topKeys.example(key))
		return nil
	}
	below.rejectUnknownKeys(outboundKeys)
	f := &fileOutbound{value: v, standard: below.stringAt("default", outboundKeys), masquerade: below.stringAt("masquerade", outboundKeys)}
	if _, has := below.keys["default"]; !has {
		t.src.addMistake(v.keyRange(), "outbound has no default", `add default = "fibre": a policy, an uplink, or "main"`)
	}
	for name, v := range below.subtables("policies", outboundKeys) {
		if table, ok := v.asTable(); ok {
			f.policies = append(f.policies, table.asPolicy(name, v))
		} else {
			v.addTypeMistake("a table", `{ tiers = [["fibre"]] }, or as [outbound.policies.NAME]`)
		}
	}
	for name, v := range below.subtables("rules", outboundKeys) {
		if table, ok := v.asTable(); ok {
			f.rules = append(f.rules, table.asSteering(name, v))
		} else {
			v.addTypeMistake("a table", `{ dport = 25, use = "fibre" }, or as [outbound.rules.NAME]`)
		}
	}
	order := t.src.tableOrder("outbound", "rules")
	slices.SortFunc(f.rules, func(a, b fileSteering) int { return cmp.Compare(order[a.name], order[b.name]) })
	return f
}

// resolveOutbound sets the policies and rules for outbound connections. known is false if the set of uplinks is not, as a file is
// not TOML.
func (c *Config) resolveOutbound(f *fileOutbound, ups []fileUplink, known bool) {
	if f == nil {
		return
	}
	c.checkOutboundLinks(f, ups)
	r := outboundResolver{config: c, uplinks: ups, known: known, policies: f.policies}
	out := &c.Outbound
	out.Masquerade = uplinks.MasqueradeOff
	if m := f.masquerade; m != nil {
		out.Masquerade = uplinks.Masquerade(m.oneOf(string(uplinks.MasqueradeOff), string(uplinks.MasqueradeIPv4), string(uplinks.MasqueradeBoth)))
	}
	r.checkRoom(f)
	for _, p := range f.policies {
		out.Policies = append(out.Policies, r.policy(p))
	}
	if f.standard != nil {
		out.Default = r.use(*f.standard, false)
	}
	for _, rule := range f.rules {
		s, ok := r.steering(rule)
		if ok {
			rule.checkReached(s, f.rules, out.Rules)
		} else {
			s = uplinks.Steering{Not: true} // covers nothing
		}
		out.Rules = append(out.Rules, s)
	}
	if n := len(out.Policies); n > uplinks.MaxPolicies {
		f.addMistake(fmt.Sprintf("use at most %d", uplinks.MaxPolicies), "outbound has %d policies, and uplinks that are used as one", n)
	}
	if n := len(out.Rules); n > uplinks.MaxSteering {
		f.addMistake(fmt.Sprintf("use at most %d: a rule takes lists of networks", uplinks.MaxSteering), "outbound has %d rules", n)
	}
	slices.SortFunc(out.Policies, func(a, b uplinks.Policy) int { return cmp.Compare(a.Name, b.Name) })
}

// outboundResolver checks the policies and rules.
type outboundResolver struct {
	config   *Config
	uplinks  []fileUplink
	known    bool
	policies []filePolicy
}

// checkRoom reports numbers of the rest of the configuration that leave no room for those of outbound connections.
func (r *outboundResolver) checkRoom(f *fileOutbound) {
	s := r.config.Settings
	if s.OutboundFlag() == 0 {
		f.addMistake("use a narrower mask, such as 0x1f00", "outbound needs a bit beside the mask, and %s is the whole mark", s.Mask)
	}
	blocks := s.Blocks()
	replies, outbound := blocks[0], blocks[1]
	if replies.LastPriority >= outbound.FirstPriority && replies.FirstPriority <= outbound.LastPriority {
		f.addMistake(fmt.Sprintf("set priority to at most %d", outbound.FirstPriority-uplinks.BlockSize),
			"the priorities from %d to %d are for outbound connections, and priority = %d takes some of them", outbound.FirstPriority, outbound.LastPriority, s.Priority)
	}
	if outbound.LastTable > uplinks.MaxTable {
		f.addMistake(fmt.Sprintf("set table_base to at most %d", uplinks.MaxTable-(outbound.LastTable-s.TableBase)), "the tables of policies follow those of uplinks, and table_base = %d leaves no room", s.TableBase)
	}
}

// hasUplink reports whether an uplink has the name.
func (r *outboundResolver) hasUplink(name string) bool {
	return slices.ContainsFunc(r.uplinks, func(u fileUplink) bool { return u.name == name })
}

// use checks a name that stands for a policy and returns it: a policy, an uplink, which becomes the policy of it alone, main, or in
// a rule a way to refuse packets.
func (r *outboundResolver) use(t stringValue, refusals bool) string {
	words := []string{uplinks.UseMain}
	if refusals {
		words = append(words, string(uplinks.LastUnreachable), string(uplinks.LastBlackhole), string(uplinks.LastProhibit))
	}
	switch {
	case slices.Contains(words, t.val), slices.ContainsFunc(r.policies, func(p filePolicy) bool { return p.name == t.val }):
	case r.hasUplink(t.val):
		if _, there := r.config.Outbound.Policy(t.val); !there {
			r.config.Outbound.Policies = append(r.config.Outbound.Policies, uplinks.Policy{Name: t.val, Tiers: [][]uplinks.Member{{{Uplink: t.val, Weight: 1}}}, LastResort: uplinks.LastUnreachable, MoveFailed: true})
		}
	case r.known:
		t.addMistake("use one of "+strings.Join(r.names(words), ", "), "%s %q is no policy and no uplink", t.key, t.val)
	}
	return t.val
}

// names returns the names of policies and uplinks, and further words.
func (r *outboundResolver) names(words []string) (all []string) {
	for _, p := range r.policies {
		all = append(all, p.name)
	}
	for _, u := range r.uplinks {
		all = append(all, u.name)
	}
	const enough = 20
	return append(all[:min(len(all), enough)], words...)
}

// resolvePrefixes sets the networks that the uplinks' providers route to this host.
func (c *Config) resolvePrefixes(ups []fileUplink) {
	var given []stringValue
	var owned []netip.Prefix
	for _, u := range ups {
		own := uplinks.UplinkPrefixes{Uplink: u.name}
		for _, t := range u.prefixes {
			if !c.Outbound.Enabled() {
				t.addMistake(`add a table [outbound], such as with default = "main", or remove prefixes`, "prefixes has no effect without outbound")
				break
			}
			if t.val == "auto" {
				own.Auto = true
				continue
			}
			p, message, remedy := parsePrefix(t.val)
			if message != "" {
				t.addMistake(remedy, "%s %q %s", t.key, t.val, message)
				continue
			}
			if i := slices.IndexFunc(owned, p.Overlaps); i >= 0 {
				t.addMistake("give each network to the uplink whose provider routes it", "%s overlaps %s (%s)", p, owned[i], given[i].location())
			}
			given, owned = append(given, t), append(owned, p)
			own.Prefixes = append(own.Prefixes, p)
		}
		if own.Prefixes != nil || own.Auto {
			c.Outbound.Prefixes = append(c.Outbound.Prefixes, own)
		}
	}
}

// parsePrefix parses a network or a single address, or returns what is wrong with it and a remedy.
func parsePrefix(s string) (p netip.Prefix, message, remedy string) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, failed := netip.ParseAddr(s)
		if failed != nil || a.Zone() != "" {
			return p, "is not a network", `write it as ADDRESS or ADDRESS/LENGTH, such as "198.18.0.0/24" or "2001:db8:a::/48"`
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		return p, "is an IPv4 address in IPv6 form", "write it as " + p.Addr().Unmap().String()
	case p != p.Masked():
		return p, fmt.Sprintf("has bits behind its length of %d", p.Bits()), "write it as " + p.Masked().String()
	case p.Bits() == 0:
		return p, "is every address of its family", "leave the key out"
	}
	return p, "", ""
}

// oneOf returns the value if it is one of the words, and otherwise the first word after it has reported the mistake.
func (t stringValue) oneOf(words ...string) string {
	if slices.Contains(words, t.val) {
		return t.val
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	t.addMistake("use "+strings.Join(quoted[:len(quoted)-1], ", ")+" or "+quoted[len(quoted)-1], "unknown %s %q", t.key, t.val)
	return words[0]
}

// freeForSenders reports whether the ids of the mask that stand for groups of senders are no uplink's.
func (r *outboundResolver) freeForSenders() (first marks.ID, ok bool) {
	if r.config.Mask.MaxID() < 2*uplinks.SenderBuckets-1 {
		return 0, false
	}
	first = r.config.FirstBucket()
	return first, !slices.ContainsFunc(r.config.Uplinks, func(u uplinks.Uplink) bool { return u.ID >= first })
}
