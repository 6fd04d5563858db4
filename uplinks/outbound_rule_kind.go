package uplinks

// OutboundRule says what a rule in the block of outbound connections is for.
type OutboundRule struct {
	Kind   OutboundRuleKind
	Rule   string // of RuleConfigured: Steering.Name
	Uplink string // of RuleDevice
	Policy string // of RulePolicy
}

// OutboundRuleKind is a kind of rules of the block of outbound connections.
type OutboundRuleKind string

// The kinds of rules. The words are those of "explain --json".
const (
	RuleMarked     OutboundRuleKind = "marked" // the packet has the mark of an uplink
	RuleMain       OutboundRuleKind = "main"   // main has a specific route
	RulePrefix     OutboundRuleKind = "prefix" // the source is an uplink's own
	RuleDevice     OutboundRuleKind = "device" // the socket is bound to the uplink's interface
	RuleConfigured OutboundRuleKind = "rule"   // a rule of the configuration
	RuleDefault    OutboundRuleKind = "default"
	RulePolicy     OutboundRuleKind = "policy" // a policy's look-ups
	RuleOther      OutboundRuleKind = "other"  // what joins the others
)

// OutboundRuleAt returns what the rules of a priority are for, and false outside of the block of outbound connections.
func (s Settings) OutboundRuleAt(p Priority) (OutboundRule, bool) {
	if !s.Outbound.Enabled() || p < outboundPriority || p >= outboundPriority+outboundPriorities {
		return OutboundRule{}, false
	}
	offset := p - outboundPriority
	switch {
	case offset == outboundMarked:
		return OutboundRule{Kind: RuleMarked}, true
	case offset == outboundMain:
		return OutboundRule{Kind: RuleMain}, true
	case offset == outboundPrefixes:
		return OutboundRule{Kind: RulePrefix}, true
	case offset > outboundDevices && offset < outboundSteering:
		for _, u := range s.Uplinks {
			if Priority(u.ID) == offset-outboundDevices {
				return OutboundRule{Kind: RuleDevice, Uplink: u.Name}, true
			}
		}
	case offset > outboundSteering && int(offset-outboundSteering) <= len(s.Outbound.Rules):
		return OutboundRule{Kind: RuleConfigured, Rule: s.Outbound.Rules[offset-outboundSteering-1].Name}, true
	case offset == outboundDefault:
		return OutboundRule{Kind: RuleDefault}, true
	case offset >= outboundPolicies && offset < outboundEnd:
		for name, slot := range s.Outbound.slots() {
			if Priority(slot) == (offset-outboundPolicies)/outboundStride {
				return OutboundRule{Kind: RulePolicy, Policy: name}, true
			}
		}
	}
	return OutboundRule{Kind: RuleOther}, true
}
