package uplinks

// Kind returns KindRoute.
func (SetRoute) Kind() Kind { return KindRoute }

// Removes returns false.
func (SetRoute) Removes() bool { return false }

// Scope returns the route's table.
func (s SetRoute) Scope() Scope { return Scope{Table: s.Key.Table} }

// WriteTo sets the route.
func (s SetRoute) WriteTo(w Writer) { w.SetRoute(s.Key, s.Route) }

func (SetRoute) legend() string { return "" }

// Kind returns KindRoute.
func (DelRoute) Kind() Kind { return KindRoute }

// Removes returns true.
func (DelRoute) Removes() bool { return true }

// Scope returns the route's table.
func (s DelRoute) Scope() Scope { return Scope{Table: s.Key.Table} }

// WriteTo deletes the route.
func (s DelRoute) WriteTo(w Writer) { w.DelRoute(s.Key, s.Route) }

func (DelRoute) legend() string { return "" }
