package uplinks

// Place says what a rule of the block of outbound connections is for.
type Place struct {
	Kind   PlaceKind
	Rule   string // of PlaceRule: Steering.Name
	Uplink string // of PlaceDevice
	Policy string // of PlacePolicy
}

// PlaceKind is a kind of rules of the block of outbound connections.
type PlaceKind string

// The kinds of rules. The words are those of "explain --json".
const (
	PlaceMarked PlaceKind = "marked" // the packet has the mark of an uplink
	PlaceMain   PlaceKind = "main"   // main has a specific route
	PlacePrefix PlaceKind = "prefix" // the source is an uplink's own
	PlaceDevice PlaceKind = "device" // the socket is bound to the uplink's interface
	PlaceRule   PlaceKind = "rule"   // a rule of the configuration
	PlaceUsual  PlaceKind = "default"
	PlacePolicy PlaceKind = "policy" // a policy's look-ups
	PlaceOther  PlaceKind = "other"  // what joins the others
)

// OutboundPlace returns what the rules of a priority are for, and false outside of the block of outbound connections.
func (s Settings) OutboundPlace(p Priority) (Place, bool) {
	if !s.Outbound.Enabled() || p < outboundPriority || p >= outboundPriority+outboundPriorities {
		return Place{}, false
	}
	offset := p - outboundPriority
	switch {
	case offset == outboundMarked:
		return Place{Kind: PlaceMarked}, true
	case offset == outboundMain:
		return Place{Kind: PlaceMain}, true
	case offset == outboundPrefixes:
		return Place{Kind: PlacePrefix}, true
	case offset > outboundDevices && offset < outboundSteering:
		for _, u := range s.Uplinks {
			if Priority(u.ID) == offset-outboundDevices {
				return Place{Kind: PlaceDevice, Uplink: u.Name}, true
			}
		}
	case offset > outboundSteering && int(offset-outboundSteering) <= len(s.Outbound.Rules):
		return Place{Kind: PlaceRule, Rule: s.Outbound.Rules[offset-outboundSteering-1].Name}, true
	case offset == outboundDefault:
		return Place{Kind: PlaceUsual}, true
	case offset >= outboundPolicies && offset < outboundEnd:
		for name, slot := range s.Outbound.slots() {
			if Priority(slot) == (offset-outboundPolicies)/outboundStride {
				return Place{Kind: PlacePolicy, Policy: name}, true
			}
		}
	}
	return Place{Kind: PlaceOther}, true
}
