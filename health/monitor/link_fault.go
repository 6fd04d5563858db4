package monitor

import (
	"fmt"

	"replypath/health"
)

// linkFault returns the state and the reason if the link is unfit to send probes, and an empty state if it is fit. The
// flags are checked before the addresses: a link that goes down loses its addresses and gateways as well.
func linkFault(p health.Path) (state health.State, reason string) {
	switch {
	case p.VRF != 0:
		return health.Absent, fmt.Sprintf("%s is in a VRF, whose table %d is looked up before replypath's rules", p.Link, p.VRF)
	case p.Master != "":
		return health.Absent, fmt.Sprintf("%s is a port of %s, by which its packets come in", p.Link, p.Master)
	case p.Standby.IsValid() && p.Up && p.Carrier:
		return health.Standby, fmt.Sprintf("%s is not on this node", p.Standby)
	case p.LeftOut != "":
		return health.Absent, "left out: " + p.LeftOut
	case p.Index == 0:
		return health.Absent, fmt.Sprintf("there is no link %s", p.Link)
	case !p.Up:
		return health.Down, fmt.Sprintf("%s is down", p.Link)
	case !p.Carrier:
		return health.Down, fmt.Sprintf("no carrier on %s", p.Link)
	case !p.Source.IsValid():
		return health.Absent, fmt.Sprintf("%s has no %s address", p.Link, p.Family)
	case !p.Gateway.IsValid() && !p.OnLink:
		return health.Absent, fmt.Sprintf("no %s gateway is known on %s", p.Family, p.Link)
	}
	return "", ""
}
