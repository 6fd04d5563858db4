package health

import "fmt"

// linkFault is what the link says against the path, without anybody being asked; an empty state is nothing. A link that is
// down has lost addresses and gateways for that reason alone, so it is looked at first.
func (p Path) linkFault() (State, string) {
	switch {
	case p.VRF != 0:
		return Absent, fmt.Sprintf("%s is in a VRF, whose table %d is asked before any rule of ours", p.Link, p.VRF)
	case p.Index == 0:
		return Absent, fmt.Sprintf("there is no link %s", p.Link)
	case !p.Up:
		return Down, fmt.Sprintf("%s is down", p.Link)
	case !p.Carrier:
		return Down, fmt.Sprintf("no carrier on %s", p.Link)
	case !p.Source.IsValid():
		return Absent, fmt.Sprintf("%s has no %s address", p.Link, p.Family)
	case !p.Gateway.IsValid() && !p.OnLink:
		return Absent, fmt.Sprintf("no %s gateway is known on %s", p.Family, p.Link)
	}
	return "", ""
}

// Result is what the proof says in all, with the reason when it is No. What could not be found out says nothing.
func (p Proof) Result() (Result, string) {
	switch {
	case p.Routes.Result == No:
		return No, "the kernel would not route replies back: " + p.Routes.Reason()
	case p.Trace.Result == No:
		return No, "a reply was seen to stray: " + p.Trace.Reason()
	case p.Routes.Result == Yes || p.Trace.Result == Yes:
		return Yes, ""
	}
	return Unknown, ""
}

func (c ProofCheck) Reason() string {
	if c.Detail != "" {
		return c.Detail
	}
	return string(c.Cause)
}

// WithUnknown replaces what was never asked by Unknown.
func (p Proof) WithUnknown() Proof {
	for _, c := range []*ProofCheck{&p.Routes, &p.Trace} {
		if c.Result == "" {
			c.Result = Unknown
		}
	}
	return p
}
