package rtnl

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"replypath/uplinks"
)

func TestLinkPollerReportsLinkState(t *testing.T) {
	p, err := NewLinkPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Fatal(links, err)
	}
	for range 3 {
		for _, l := range links {
			state, err := p.State(l.Index)
			if want := l.Flags&net.FlagUp != 0; err != nil || state.Name != l.Name || state.Up != want {
				t.Errorf("%s: %+v, %v", l.Name, state, err)
			}
		}
		if state, err := p.State(1 << 30); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("no such link: %+v, %v", state, err)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = p.State(links[0].Index) }); n > 120 {
		t.Errorf("%v allocations", n)
	}
}

func TestInvalidLinkReplyIsIgnored(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":       {},
		"a short one":   make([]byte, 17),
		"another's":     make([]byte, 64),
		"one of length": {255, 255, 255, 255, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4},
	} {
		if state, _, err := parseLinkReply(b, 7); state != (uplinks.LinkState{}) || err != nil {
			t.Errorf("%s: %+v, %v", name, state, err)
		}
	}
}

func BenchmarkLinkPoller(b *testing.B) {
	p, err := NewLinkPoller()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.State(1)
	}
}
