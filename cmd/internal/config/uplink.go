package config

import (
	"fmt"

	"replypath/marks"
	"replypath/uplinks"
)

// idLimit is the range of valid ids. A mask that is a mistake itself is not known, and does not cause further mistakes.
type idLimit struct {
	mask  marks.Mask
	known bool
}

// resolve checks one uplink on its own.
func (u fileUplink) resolve(limit idLimit) uplinks.Uplink {
	b := uplinks.Uplink{Name: u.name, Link: u.interfaceName(), WhenDown: uplinks.Hold}
	if u.id != nil {
		b.ID = limit.resolve(*u.id)
	}
	u.checkInterface()
	b.Gateway4, b.Gateway6 = resolveGateways(u.gateway, b.Link)
	b.VIPs = u.resolveVIPs(b.Gateway4, b.Gateway6)
	b.Routers, b.MACs, b.AnyRouter = u.resolveRouters(b), u.resolveMACs(), u.wantsAnyRouter()
	switch w := u.whenDown; {
	case w == nil:
	case w.val == string(uplinks.Hold), w.val == string(uplinks.Release):
		b.WhenDown = uplinks.WhenDown(w.val)
	default:
		w.addMistake(`use "hold" (replies are refused while the uplink is down) or "release" (they follow table main)`,
			"unknown when_down %q", w.val)
	}
	return b
}

// resolve returns the id, or 0 if it is out of range.
func (l idLimit) resolve(n intValue) marks.ID {
	most, wider := int64(marks.MaxID), ""
	if l.known {
		most = int64(l.mask.MaxID())
		if most < marks.MaxID {
			wider = ", or a wider mask"
		}
	}
	switch {
	case n.val < 1:
		n.addMistake(fmt.Sprintf("use an id from 1 to %d", most), "id %d is below 1", n.val)
	case n.val > most && wider != "":
		n.addMistake(fmt.Sprintf("use an id from 1 to %d%s", most, wider), "id %d does not fit the mask %s", n.val, l.mask)
	case n.val > most:
		n.addMistake(fmt.Sprintf("use an id from 1 to %d", most), "id %d is above %d", n.val, most)
	default:
		return marks.ID(n.val)
	}
	return 0
}

// interfaceName returns the key "interface", or the uplink's name.
func (u fileUplink) interfaceName() string {
	if u.iface != nil {
		return u.iface.val
	}
	return u.name
}

func (u fileUplink) checkInterface() {
	message, remedy := checkUplinkInterface(u.interfaceName())
	switch {
	case message == "":
	case u.iface != nil:
		u.iface.addMistake(remedy, "%s", message)
	case isName(u.name): // otherwise the name is reported already
		u.src.addMistake(u.nameRange(), fmt.Sprintf("uplink %q has no interface, and %s", u.name, message),
			`add the interface's name, such as interface = "eth0"`)
	}
}

// checkDistinct reports a name, id or interface that an earlier uplink has.
func (u fileUplink) checkDistinct(earlier []fileUplink) {
	for _, e := range earlier {
		if e.name == u.name {
			u.src.addMistake(u.nameRange(), fmt.Sprintf("uplink %q is defined twice, also at %s", u.name, e.location()),
				"remove one of the two")
			return
		}
	}
	u.checkDistinctID(earlier)
	u.checkDistinctVIPs(earlier)
	u.checkDistinctInterface(earlier)
}

func (u fileUplink) checkDistinctID(earlier []fileUplink) {
	for _, e := range earlier {
		if u.id != nil && e.id != nil && u.id.val == e.id.val {
			u.id.addMistake("give each uplink its own id", "id %d is already used by uplink %q (%s)", u.id.val, e.name, e.id.location())
			return
		}
	}
}
