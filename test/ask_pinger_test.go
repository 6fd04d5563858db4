package test

import (
	"testing"

	"replypath/test/world"
	"replypath/uplinks"
)

// A pinger lives from one question to the next, and its socket has the source that it was opened with.
func TestEchoKeepsUpWithItsSource(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{Second: []int{1}}))
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.promote_secondaries", "1")
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	for _, f := range uplinks.Families {
		old, renumbered := path(u, f), path(u, f)
		renumbered.Source = u.Second4
		if f == uplinks.IPv6 {
			renumbered.Source = u.Second6
		}
		a.answered(asking(old, echo(b.client(f)), lasting))
		b.Gateway.Run("ip", "addr", "del", old.Source.String()+map[uplinks.Family]string{uplinks.IPv4: "/24", uplinks.IPv6: "/64"}[f], "dev", u.Link.Name)
		b.apply()
		wire := u.Wire.Record(questions(b.client(f)))
		a.answered(asking(renumbered, echo(b.client(f)), lasting))
		b.Settle()
		if n := wire.Count(func(p world.Packet) bool { return p.Src == renumbered.Source }); n != 1 {
			t.Errorf("%s: %d questions from %s", f, n, renumbered.Source)
		}
		a.failed(asking(old, echo(b.client(f)), fleeting), "through eth1: ")
	}
	a.end()
}
