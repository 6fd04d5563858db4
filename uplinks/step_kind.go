package uplinks

// The kinds of kernel objects that steps change.
const (
	KindRule   = "rule"
	KindRoute  = "route"
	KindLink   = "link"
	KindSysctl = "sysctl"
	KindChains = "chains"
)

// KindOf is the kind of object that a step changes.
func KindOf(s Step) string {
	switch s := s.(type) {
	case AddRule, DelRule:
		return KindRule
	case SetRoute, DelRoute:
		return KindRoute
	case SetTunable:
		if s.Tunable.Name == LinkGroup {
			return KindLink
		}
		return KindSysctl
	}
	return KindChains
}
