package uplinks

// State is all of ours that is, or should be, in the kernel. It holds plain values only: == is equality.
type State struct {
	Tunables map[Tunable]string
	Routes   map[RouteKey]Route
	Rules    map[Rule]bool
	Chains   map[ChainKey]string // the rules, as iptables prints them, a line each
	Hooks    map[HookKey]HookState
	Returned map[Tunable]Found // only in a wanted state: goes back to what was found
}

// room makes space for what this many uplinks need, so that the maps do not grow time and again.
func (s *State) room(uplinks int) {
	s.Tunables = make(map[Tunable]string, 2*uplinks)
	s.Routes = make(map[RouteKey]Route, 6*uplinks)
	s.Rules = make(map[Rule]bool, 7*uplinks)
}

// NewState is a state in which nothing of ours is in the kernel.
func NewState() State {
	return State{
		Tunables: map[Tunable]string{},
		Routes:   map[RouteKey]Route{},
		Rules:    map[Rule]bool{},
		Chains:   map[ChainKey]string{},
		Hooks:    map[HookKey]HookState{},
		Returned: map[Tunable]Found{},
	}
}
