package health

import "fmt"

// against is what the link says against the path, without anybody being asked; an empty state is nothing. A link that is
// down has lost addresses and gateways for that reason alone, so it is looked at first.
func (p Path) against() (State, string) {
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
	case !p.Gateway.IsValid() && !p.Direct:
		return Absent, fmt.Sprintf("no %s gateway is known on %s", p.Family, p.Link)
	}
	return "", ""
}

// proven is what the proof says in all, with the reason when it is No. What could not be found out says nothing.
func (p Proof) proven() (Result, string) {
	switch {
	case p.Asked.Result == No:
		return No, "the kernel would not route replies back: " + p.Asked.reason()
	case p.Shown.Result == No:
		return No, "a reply was seen to stray: " + p.Shown.reason()
	case p.Asked.Result == Yes || p.Shown.Result == Yes:
		return Yes, ""
	}
	return Unknown, ""
}

func (c Check) reason() string {
	if c.Why != "" {
		return c.Why
	}
	return string(c.Cause)
}

// known replaces what was never asked by Unknown.
func (p Proof) known() Proof {
	for _, c := range []*Check{&p.Asked, &p.Shown} {
		if c.Result == "" {
			c.Result = Unknown
		}
	}
	return p
}
