package proof

import (
	"fmt"

	"replypath/health"
	"replypath/marks/foreign"
)

// checkLaterReplies returns the verdict on the replies that the host sends after the first one, before the next packet of the client:
// they get the mark that their connection has at the end of POSTROUTING. The first reply is right.
func (s Snapshot) checkLaterReplies(r Request, t trace) health.ProofCheck {
	mark, changed := t.laterMark(r)
	if !changed {
		return health.ProofCheck{Result: health.Yes}
	}
	p, packet := r.Path, s.replyPacket(r, t)
	c := failed(health.MarkNotSaved, fmt.Sprintf("another program changes the mark of the connection in POSTROUTING: after the first reply to %s it has %s instead of the mark %s",
		r, markText(mark, p.Mask), p.Mark))
	c.Remedy = fmt.Sprintf("let that program set its bits only, with a mask (--set-xmark VALUE/MASK) without bits of %s", p.Mask)
	c = s.withRule(c, "it is set by", func(f foreign.Rule) bool {
		return f.WritesConnmark && f.MarkBits&p.Mask != 0 && (f.Hook == "POSTROUTING" || f.Hook == "")
	})
	db := s.Databases[p.Family]
	if db == nil {
		return c
	}
	packet.Mark = packet.Mark&^uint32(p.Mask) | mark&uint32(p.Mask)
	link := egressLink(db.LookUp(packet))
	if link == p.Link {
		c.Detail += fmt.Sprintf("; later replies leave by %s all the same", p.Link)
		return c.AsWarning()
	}
	if link != "" {
		c.Detail += fmt.Sprintf("; later replies would leave by %s", link)
	}
	return c
}

// laterMark returns the mark that the connection of a reply has at the end of POSTROUTING where that is not the path's, and reports
// whether it is another. Behind mangle it is that which another program has set there, as the capture had cleared it before.
func (t trace) laterMark(r Request) (mark uint32, changed bool) {
	for _, hook := range []Hook{ReplyCounted, PostroutingEnd, PostroutingPassed} {
		for _, x := range t.hooks[hook] {
			cleared := hook == ReplyCounted && x.Ctmark&uint32(r.Path.Mask) == 0
			if x.State&StateEstablished != 0 && !cleared && !r.hasMark(x.Ctmark) {
				return x.Ctmark, true
			}
		}
	}
	return 0, false
}
