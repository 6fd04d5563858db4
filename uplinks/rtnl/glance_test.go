package rtnl

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"replypath/uplinks"
)

func TestAGlanceSeesALink(t *testing.T) {
	g, err := NewGlance()
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Fatal(links, err)
	}
	for range 3 {
		for _, l := range links {
			is, err := g.Link(l.Index)
			if want := l.Flags&net.FlagUp != 0; err != nil || is.Name != l.Name || is.Up != want {
				t.Errorf("%s: %+v, %v", l.Name, is, err)
			}
		}
		if is, err := g.Link(1 << 30); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("no such link: %+v, %v", is, err)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = g.Link(links[0].Index) }); n > 120 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnAnswerThatIsNoneSaysNothing(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":       {},
		"a short one":   make([]byte, 17),
		"another's":     make([]byte, 64),
		"one of length": {255, 255, 255, 255, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4},
	} {
		if is, _, err := reply(b, 7); is != (uplinks.LinkState{}) || err != nil {
			t.Errorf("%s: %+v, %v", name, is, err)
		}
	}
}

func BenchmarkGlance(b *testing.B) {
	g, err := NewGlance()
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = g.Link(1)
	}
}
