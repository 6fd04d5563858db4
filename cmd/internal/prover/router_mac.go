package prover

import (
	"net"

	"replypath/health"
)

// routerMAC returns the hardware address from which the router of the path sends, nil where the link has one uplink: the mark of
// a request does not depend on it then.
func (r *run) routerMAC(p health.Path) []byte {
	if !p.SharedLink {
		return nil
	}
	if mac, err := net.ParseMAC(p.RouterMAC); err == nil {
		return mac
	}
	if n, found := r.output.FindNeighbour(p.Index, p.Gateway); found && n.State.Valid() {
		return []byte(n.MAC)
	}
	return nil
}
