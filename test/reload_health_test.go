package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
	"replypath/test/world"
)

func TestReloadProbesOnlyTheNewTargets(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.Client.ServeTCP(servedPort)
	b.configureProbes()
	s := b.start()
	b.awaitUp()
	text, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	byTCP := string(text)
	for _, to := range []string{b.Client4.String(), "[" + b.Client6.String() + "]"} {
		byTCP = strings.ReplaceAll(byTCP, "icmp://"+to, fmt.Sprintf("tcp://%s:%d", to, servedPort))
	}
	for range 2 {
		for _, c := range []struct {
			text           string
			asked, unasked func(world.Packet) bool
		}{{byTCP, isTCP, isEcho}, {string(text), isEcho, isTCP}} {
			b.write(c.text)
			b.must(0, "reload")
			for _, u := range b.Uplinks {
				wire := u.Wire.Record(func(p world.Packet) bool { return p.Dir == world.In && (p.To(b.Client4) || p.To(b.Client6)) })
				eventually(t, eventualTimeout, "the new targets are asked", func() bool { return wire.Count(c.asked) > 10 })
				if n := wire.Count(c.unasked); n > 0 {
					t.Errorf("%s: %d questions to targets that there are no more", u.Link.Name, n)
				}
			}
		}
	}
	b.awaitUp()
	dead(b.Uplinks[1], true)
	b.awaitState(b.Uplinks[1], health.Down)
	s.signal(syscall.SIGHUP)
	s.awaitNotify("READY=1")
	s.stop()
}

func isTCP(p world.Packet) bool  { return p.Proto == world.TCP }
func isEcho(p world.Packet) bool { return p.Proto == world.ICMP || p.Proto == world.ICMPv6 }
