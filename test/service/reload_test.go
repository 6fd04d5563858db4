package service

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

func TestReloadProbesOnlyTheNewTargets(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Client.ServeTCP(box.ServedPort)
	b.ConfigureProbes()
	s := b.Start()
	b.AwaitUp()
	text, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	byTCP := string(text)
	for _, to := range []string{b.Client4.String(), "[" + b.Client6.String() + "]"} {
		byTCP = strings.ReplaceAll(byTCP, "icmp://"+to, fmt.Sprintf("tcp://%s:%d", to, box.ServedPort))
	}
	for range 2 {
		for _, c := range []struct {
			text             string
			wanted, unwanted func(world.Packet) bool
		}{{byTCP, isTCP, isEcho}, {string(text), isEcho, isTCP}} {
			b.Write(c.text)
			b.Must(0, "reload")
			b.Settle() // what the old probes have sent
			for _, u := range b.Uplinks {
				wire := u.Wire.Record(func(p world.Packet) bool { return p.Dir == world.In && (p.To(b.Client4) || p.To(b.Client6)) })
				box.Eventually(t, box.EventualTimeout, "the new targets are probed", func() bool { return wire.Count(c.wanted) > 10 })
				if n := wire.Count(c.unwanted); n > 0 {
					t.Errorf("%s: %d questions to targets that there are no more", u.Link.Name, n)
				}
			}
		}
	}
	b.AwaitUp()
	box.SetBlackHole(b.Uplinks[1], true)
	b.AwaitState(b.Uplinks[1], health.Down)
	s.Signal(syscall.SIGHUP)
	s.AwaitNotify("READY=1")
	s.Stop()
}

func isTCP(p world.Packet) bool { return p.Proto == world.TCP }

func isEcho(p world.Packet) bool { return p.Proto == world.ICMP || p.Proto == world.ICMPv6 }
