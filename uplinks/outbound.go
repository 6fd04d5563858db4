package uplinks

import (
	"math/bits"
	"net/netip"
	"slices"

	"replypath/marks"
)

// Purpose outbound: which uplink the connections take that begin on this host or on hosts behind it. Its objects are the rules
// in outbound_rules.go, the policies' tables in outbound_routes.go and the chains in outbound_chains.go. The route chooses: a
// packet without a mark meets, just before main's rule, the table of a policy with one default route, over the usable uplinks of
// its first tier that has any. The mark remembers: the first packet of a connection gives it the mark of the uplink that it
// leaves by, and the rules of purpose replies carry it from then on. Main's default routes are neither read nor written.

// Outbound is the configuration of outbound connections. Without a Default there is none.
type Outbound struct {
	Default    string // the name of a policy, or UseMain
	Masquerade Masquerade
	Policies   []Policy
	Rules      []Steering // the first that fits decides
	Prefixes   []UplinkPrefixes
}

// UseMain stands for table main where a policy is named.
const UseMain = "main"

// Masquerade says in which families sources are translated that are not the uplink's own.
type Masquerade string

// The values of Masquerade.
const (
	MasqueradeOff  Masquerade = "off"
	MasqueradeIPv4 Masquerade = "ipv4"
	MasqueradeBoth Masquerade = "both"
)

// In reports whether sources are translated in the family.
func (m Masquerade) In(f Family) bool { return m == MasqueradeBoth || m == MasqueradeIPv4 && f == IPv4 }

// Policy chooses an uplink. It is identified by its name, which can be that of an uplink: the policy of it alone.
type Policy struct {
	Name         string
	Tiers        [][]Member
	StickyClient bool // all connections of a sender take one uplink
	LastResort   LastResort
	MoveFailed   bool // the connections of an uplink that failed are moved
	MoveBack     bool // connections are moved back when a better tier is usable again
	// AvoidDegraded passes over degraded uplinks while another one is usable.
	AvoidDegraded bool `json:",omitempty"`
}

// Member is an uplink of a tier.
type Member struct {
	Uplink string
	Weight int // 1 to 255
}

// LastResort says what becomes of packets when no uplink of a policy is usable.
type LastResort string

// The values of LastResort.
const (
	LastMain        LastResort = "main"
	LastUnreachable LastResort = "unreachable"
	LastBlackhole   LastResort = "blackhole"
	LastProhibit    LastResort = "prohibit"
)

// routeType returns the type of the route of last resort, and false if there is none.
func (l LastResort) routeType() (RouteType, bool) {
	t, refuses := map[LastResort]RouteType{LastUnreachable: Unreachable, LastBlackhole: Blackhole, LastProhibit: Prohibit}[l]
	return t, refuses
}

// Steering is a rule that chooses a policy by the properties of a packet.
type Steering struct {
	Name      string
	IPVersion uint8 // 4 or 6; 0: both
	Not       bool
	From      []netip.Prefix // empty: all
	To        []netip.Prefix `json:"ToNetworks"`
	IIF       string
	Mark      marks.Mark // with Mask; 0: any
	Mask      marks.Mask
	Selectors        // without To
	Use       string // the name of a policy, UseMain, or a LastResort
}

// UplinkPrefixes are networks of the operator that an uplink's provider routes to this host.
type UplinkPrefixes struct {
	Uplink   string
	Prefixes []netip.Prefix
	Auto     bool `json:",omitempty"` // also those that are found: Settings.AutoPrefixes
}

// Enabled reports whether outbound connections are configured.
func (o Outbound) Enabled() bool { return o.Default != "" }

// Translates reports whether sources are translated in any family.
func (o Outbound) Translates() bool {
	return o.Enabled() && (o.Masquerade.In(IPv4) || o.Masquerade.In(IPv6))
}

// Policy returns the policy of the name, and false if there is none.
func (o Outbound) Policy(name string) (Policy, bool) {
	i := slices.IndexFunc(o.Policies, func(p Policy) bool { return p.Name == name })
	if i < 0 {
		return Policy{}, false
	}
	return o.Policies[i], true
}

// sticky reports whether any policy has sticky clients.
func (o Outbound) sticky() bool {
	return slices.ContainsFunc(o.Policies, func(p Policy) bool { return p.StickyClient })
}

// OutboundFlag returns the bit of a connection's mark that says that the connection began inside: the one above the mask, or
// below it. It is in no packet's mark.
func (s Settings) OutboundFlag() marks.Mask {
	if top := bits.Len32(uint32(s.Mask)); top < 32 {
		return 1 << top
	}
	if low := bits.TrailingZeros32(uint32(s.Mask)); low > 0 {
		return 1 << (low - 1)
	}
	return 0
}

// outboundMark returns the mark of the uplink's connections that began inside.
func (s Settings) outboundMark(u Uplink) marks.Mark { return s.Mark(u) | marks.Mark(s.OutboundFlag()) }

// FirstBucket returns the id of the first of SenderBuckets. Policies with sticky clients need them to be no uplink's.
func (s Settings) FirstBucket() marks.ID { return s.Mask.MaxID() - SenderBuckets + 1 }

// slots returns the number of each policy: it follows from the name, so that most stay when policies are added and removed.
func (o Outbound) slots() map[string]int {
	names := make([]string, len(o.Policies))
	for i, p := range o.Policies {
		names[i] = p.Name
	}
	slices.Sort(names)
	taken, slot := map[int]bool{}, map[string]int{}
	for _, name := range names {
		n := int(hashName(name) % MaxPolicies)
		for taken[n] {
			n = (n + 1) % MaxPolicies
		}
		taken[n], slot[name] = true, n
	}
	return slot
}

// hashName returns the FNV-1a hash of a name.
func hashName(name string) uint32 {
	h := uint32(2166136261)
	for _, c := range []byte(name) {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// PolicyTable returns the number of the policy's routing table.
func (s Settings) PolicyTable(policy string) Table {
	return s.TableBase + outboundTable + Table(s.Outbound.slots()[policy])
}

// addOutbound adds what outbound connections need. All of it but the sysctls of links belongs to the whole host.
func addOutbound(want State, s Settings, f Facts, v Verdicts) {
	if !s.Outbound.Enabled() {
		return
	}
	if addSourceTunables(want, s, f); f.Scopes != nil {
		return
	}
	for _, family := range s.outboundFamilies(f) {
		o := outbound{s, f, v, family, s.Outbound.slots()}
		o.addRoutes(want)
		o.addRules(want)
		o.addChains(want)
	}
}

// FailoverPlan returns the steps that follow from new verdicts alone, given the settings and facts that are in force. They are those of
// Diff between both desired states, at a fraction of the time: of all objects only routes and rules of outbound connections depend on
// verdicts.
func FailoverPlan(s Settings, f Facts, before, now Verdicts) Plan {
	was, want := NewState(), NewState()
	s = s.ResolveLinks(f).applied(f)
	if !s.Outbound.Enabled() {
		return nil
	}
	for _, family := range s.outboundFamilies(f) {
		for state, v := range map[*State]Verdicts{&was: before, &want: now} {
			o := outbound{s, f, v, family, s.Outbound.slots()}
			o.addRoutes(*state)
			o.addRules(*state)
		}
	}
	return Diff(want, was)
}

// outboundFamilies returns the families in which policies choose.
func (s Settings) outboundFamilies(f Facts) (all []Family) {
	for _, family := range f.Families() {
		if _, ok := f.Firewalls[family]; ok && s.managesAny(family) {
			all = append(all, family)
		}
	}
	return all
}

// managesAny reports whether an uplink is managed in the family.
func (s Settings) managesAny(f Family) bool {
	return slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Manages(f) })
}

// outbound computes the objects of one family.
type outbound struct {
	Settings
	facts    Facts
	verdicts Verdicts
	family   Family
	slot     map[string]int
}

// managed returns the uplinks that are managed in the family.
func (o outbound) managed() []Uplink {
	return slices.DeleteFunc(slices.Clone(o.Uplinks), func(u Uplink) bool { return !u.Manages(o.family) })
}
