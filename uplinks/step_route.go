package uplinks

// SetRoute adds a route, or replaces the one with its key.
type SetRoute struct {
	Key   RouteKey
	Route Route
}

// String returns the ip-route(8) command.
func (s SetRoute) String() string {
	return s.Key.Family.IPCommand() + " route replace " + s.Route.spec(s.Key)
}

// Kind returns KindRoute.
func (SetRoute) Kind() Kind { return KindRoute }

// Removes returns false.
func (SetRoute) Removes() bool { return false }

// Scope returns the route's table.
func (s SetRoute) Scope() Scope { return Scope{Table: s.Key.Table} }

// WriteTo sets the route.
func (s SetRoute) WriteTo(w Writer) { w.SetRoute(s.Key, s.Route) }

func (SetRoute) legend() string { return "" }

// DelRoute deletes a route with exactly these fields. It succeeds if there is none.
type DelRoute struct {
	Key   RouteKey
	Route Route
}

// String returns the ip-route(8) command.
func (s DelRoute) String() string {
	return s.Key.Family.IPCommand() + " route del " + s.Route.spec(s.Key)
}

// Kind returns KindRoute.
func (DelRoute) Kind() Kind { return KindRoute }

// Removes returns true.
func (DelRoute) Removes() bool { return true }

// Scope returns the route's table.
func (s DelRoute) Scope() Scope { return Scope{Table: s.Key.Table} }

// WriteTo deletes the route.
func (s DelRoute) WriteTo(w Writer) { w.DelRoute(s.Key, s.Route) }

func (DelRoute) legend() string { return "" }
