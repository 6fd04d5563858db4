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

// believe checks one uplink by itself.
func (u fileUplink) believe(limit idLimit) uplinks.Uplink {
	b := uplinks.Uplink{Name: u.name, Link: u.linkName(), WhenDown: uplinks.Hold}
	if u.id != nil {
		b.ID = limit.believe(*u.id)
	}
	u.checkLink()
	b.Gateway4, b.Gateway6 = believeGateways(u.gateway, b.Link)
	switch w := u.whenDown; {
	case w == nil:
	case w.is == string(uplinks.Hold), w.is == string(uplinks.Release):
		b.WhenDown = uplinks.WhenDown(w.is)
	default:
		w.wrong(`use "hold" (replies wait for their own uplink) or "release" (they go by the main table)`,
			"when_down cannot be %q", w.is)
	}
	return b
}

// believe is the id, when it fits.
func (l idLimit) believe(n number) marks.ID {
	most, wider := int64(marks.MaxID), ""
	if l.known {
		most = int64(l.mask.MaxID())
		if most < marks.MaxID {
			wider = ", or a wider mask"
		}
	}
	switch {
	case n.is < 1:
		n.wrong(fmt.Sprintf("use an id from 1 to %d", most), "id %d is below 1", n.is)
	case n.is > most && wider != "":
		n.wrong(fmt.Sprintf("use an id from 1 to %d%s", most, wider), "id %d does not fit the mask %s", n.is, l.mask)
	case n.is > most:
		n.wrong(fmt.Sprintf("use an id from 1 to %d", most), "id %d is above %d", n.is, most)
	default:
		return marks.ID(n.is)
	}
	return 0
}

// linkName is the interface as written, or the uplink's name.
func (u fileUplink) linkName() string {
	if u.link != nil {
		return u.link.is
	}
	return u.name
}

func (u fileUplink) checkLink() {
	message, remedy := checkLink(u.linkName())
	switch {
	case message == "":
	case u.link != nil:
		u.link.wrong(remedy, "%s", message)
	case isName(u.name): // otherwise the name is told to be wrong, and that is enough
		u.src.wrong(u.place(), fmt.Sprintf("uplink %q has no interface, and %s", u.name, message),
			`add the interface's name, such as interface = "eth0"`)
	}
}

// distinct remembers what the uplink shares with earlier ones and may not.
func (u fileUplink) distinct(earlier []fileUplink) {
	for _, e := range earlier {
		if e.name == u.name {
			u.src.wrong(u.place(), fmt.Sprintf("uplink %q is described twice: also at %s", u.name, e.where()),
				"keep one of the two")
			return
		}
	}
	u.distinctID(earlier)
	u.distinctLink(earlier)
}

func (u fileUplink) distinctID(earlier []fileUplink) {
	for _, e := range earlier {
		if u.id != nil && e.id != nil && u.id.is == e.id.is {
			u.id.wrong("give each uplink an id of its own", "id %d is that of uplink %q (%s)", u.id.is, e.name, e.id.where())
			return
		}
	}
}

func (u fileUplink) distinctLink(earlier []fileUplink) {
	for _, e := range earlier {
		if e.linkName() != u.linkName() {
			continue
		}
		at, where := u.place(), e.where()
		if u.link != nil {
			at = u.link.place()
		}
		if e.link != nil {
			where = e.link.where()
		}
		u.src.wrong(at, fmt.Sprintf("interface %q is that of uplink %q (%s)", u.linkName(), e.name, where),
			"describe each interface by one uplink only")
		return
	}
}
