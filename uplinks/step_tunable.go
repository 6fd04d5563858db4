package uplinks

// SetTunable sets a tunable. The Kernel saves its original first, and drops the saved original with Restore.
type SetTunable struct {
	Tunable    Tunable
	Old, Value string
	Restore    bool // Value is the original
}

// String returns the ip-link(8) or sysctl(8) command.
func (s SetTunable) String() string { return s.Tunable.command(s.Value) }

// Kind returns KindLink for a link's group, else KindSysctl.
func (s SetTunable) Kind() Kind {
	if s.Tunable.Name == LinkGroup {
		return KindLink
	}
	return KindSysctl
}

// Removes reports whether the step restores an original.
func (s SetTunable) Removes() bool { return s.Restore }

// Scope returns the tunable's link, or the whole host.
func (s SetTunable) Scope() Scope { return Scope{Link: s.Tunable.Link} }

// WriteTo sets the value.
func (s SetTunable) WriteTo(w Writer) { w.SetTunable(s) }

func (SetTunable) legend() string { return "" }
