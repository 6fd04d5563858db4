package config

import (
	"fmt"

	"replypath/marks"
	"replypath/uplinks"
)

// idLimit is what an id must fit. A mask that is not known, because of a mistake in it, is no reason for more mistakes.
type idLimit struct {
	mask  marks.Mask
	known bool
}

// resolve checks one uplink by itself.
func (u fileUplink) resolve(limit idLimit) uplinks.Uplink {
	b := uplinks.Uplink{Name: u.name, Link: u.interfaceName(), WhenDown: uplinks.Hold}
	if u.id != nil {
		b.ID = limit.resolve(*u.id)
	}
	u.checkInterface()
	b.Gateway4, b.Gateway6 = resolveGateways(u.gateway, b.Link)
	switch w := u.whenDown; {
	case w == nil:
	case w.val == string(uplinks.Hold), w.val == string(uplinks.Release):
		b.WhenDown = uplinks.WhenDown(w.val)
	default:
		w.addMistake(`use "hold" (replies wait for their own uplink) or "release" (they go by the main table)`,
			"when_down cannot be %q", w.val)
	}
	return b
}

// resolve is the id, when it fits.
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

// interfaceName is the interface as written, or the uplink's name.
func (u fileUplink) interfaceName() string {
	if u.iface != nil {
		return u.iface.val
	}
	return u.name
}

func (u fileUplink) checkInterface() {
	message, remedy := checkInterface(u.interfaceName())
	switch {
	case message == "":
	case u.iface != nil:
		u.iface.addMistake(remedy, "%s", message)
	case isName(u.name): // otherwise the name is told to be wrong, and that is enough
		u.src.addMistake(u.nameRange(), fmt.Sprintf("uplink %q has no interface, and %s", u.name, message),
			`add the interface's name, such as interface = "eth0"`)
	}
}

// checkDistinct remembers what the uplink shares with earlier ones and may not.
func (u fileUplink) checkDistinct(earlier []fileUplink) {
	for _, e := range earlier {
		if e.name == u.name {
			u.src.addMistake(u.nameRange(), fmt.Sprintf("uplink %q is described twice: also at %s", u.name, e.location()),
				"keep one of the two")
			return
		}
	}
	u.checkDistinctID(earlier)
	u.checkDistinctInterface(earlier)
}

func (u fileUplink) checkDistinctID(earlier []fileUplink) {
	for _, e := range earlier {
		if u.id != nil && e.id != nil && u.id.val == e.id.val {
			u.id.addMistake("give each uplink an id of its own", "id %d is that of uplink %q (%s)", u.id.val, e.name, e.id.location())
			return
		}
	}
}

func (u fileUplink) checkDistinctInterface(earlier []fileUplink) {
	for _, e := range earlier {
		if e.interfaceName() != u.interfaceName() {
			continue
		}
		at, where := u.nameRange(), e.location()
		if u.iface != nil {
			at = u.iface.valueRange()
		}
		if e.iface != nil {
			where = e.iface.location()
		}
		u.src.addMistake(at, fmt.Sprintf("interface %q is that of uplink %q (%s)", u.interfaceName(), e.name, where),
			"describe each interface by one uplink only")
		return
	}
}
