package service

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// flushes is how often the ruleset is flushed: for ten seconds.
const flushes = 100

// With protect = true no flush of the ruleset reaches the table: no packet strays, of connections of every kind and of datagrams
// that are forwarded. A saved ruleset with the table is refused
// as a whole while the service runs. The table outlives the service, which is killed, and the next one takes it again.
func TestProtectedTableOutlivesFlushes(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Nftables, "protect = true")
	box.ServeAll(b.Gateway)
	b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
	b.Delegate(b.Uplinks[1], netip.PrefixFrom(b.LAN4, 24).Masked())
	b.Delegate(b.Uplinks[1], netip.PrefixFrom(b.LAN6, 64).Masked())
	s := b.Start()
	f := b.StartConnections(t, 4, b.Uplinks...)
	replies := sendSteadily(t, b)
	loaded := strings.Count(s.Log.String(), "nft ")
	began, heard := time.Now(), replies.Load()
	for n := range flushes {
		b.Gateway.Run("nft", "flush", "ruleset")
		time.Sleep(time.Until(began.Add(time.Duration(n+1) * flushInterval)))
	}
	f.WantUndisturbed(t)
	t.Logf("%d flushes in %s, beside %d replies", flushes, time.Since(began).Round(time.Millisecond), replies.Load()-heard)
	if text := s.Log.String(); strings.Count(text, "nft ") != loaded {
		t.Errorf("something was repaired: %s", text)
	}
	saved := b.Gateway.Run("nft", "list", "ruleset")
	if !strings.Contains(saved, "flags owner") {
		t.Errorf("%s", saved)
	}
	b.WriteRootFile("/etc/nftables.conf", "flush ruleset\n"+saved)
	if err := b.Gateway.Command(t.Context(), "nft", "-f", b.Root()+"/etc/nftables.conf").Run(); err == nil {
		t.Error("the saved ruleset was loaded")
	}
	b.WantFinding(b.RunDoctor(), box.IsWarning, "saved-ruleset", "/etc/nftables.conf", "the service protects", "EPERM")
	s.Kill()
	if text := b.Gateway.Run("nft", "list", "table", "inet", "replypath"); strings.Contains(text, "flags owner") {
		t.Errorf("after the service was killed: %s", text)
	}
	s = b.Start()
	b.AwaitInSync()
	b.Gateway.Run("nft", "flush", "ruleset")
	f.WantUndisturbed(t)
	f.WantAlive(t)
	s.Stop()
	b.Must(0, "flush")
	if text := b.Gateway.Run("nft", "list", "ruleset"); text != "" {
		t.Errorf("after flush: %s", text)
	}
}
