package answer

import (
	"os"
	"slices"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// wantNoPins wants nothing of replypath's in the BPF file system.
func wantNoPins(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/sys/fs/bpf/replypath"); !os.IsNotExist(err) {
		t.Errorf("/sys/fs/bpf/replypath is there: %v", err)
	}
}

func TestFlushRemovesThePrograms(t *testing.T) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{})
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
	b.Must(0, "flush")
	wantNoPins(t)
	wantWrong(t, b)
}

func TestAKilledServiceLeavesTheProgramsInForce(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{}, backend)
		b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
		p := b.RecordEgress()
		s := b.Start()
		p.WantRepliesFromAll(t, b.Client, datagrams)
		s.Kill()
		p.WantRepliesFromAll(t, b.Client, datagrams)
		s = b.Start()
		p.WantRepliesFromAll(t, b.Client, datagrams)
		s.Stop()
		p.WantRepliesFromAll(t, b.Client, datagrams)
	})
}

// While the service is replaced by another one, and the programs by others in place, each question is answered at its first packet.
// [outbound] makes the programs differ, as those of another version do.
func TestReplacedProgramsLoseNoReply(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{}, backend)
		b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
		s := b.Start()
		load := startQuestions(t, b)
		settings := b.Settings
		for _, more := range [][]string{outbound, nil} {
			b.Settings = slices.Concat(settings, more)
			b.Configure(b.Uplinks...)
			load.await(t)
			b.Must(0, "reload")
			load.await(t)
			s.Stop()
			load.await(t)
			s = b.Start()
			load.await(t)
			s.Kill()
			load.await(t)
			s = b.Start()
		}
		load.await(t)
		load.stop(t)
		s.Stop()
	})
}

func TestARemovedKeyRemovesThePrograms(t *testing.T) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{})
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	s := b.Start()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
	b.Settings = nil
	b.Configure(b.Uplinks...)
	b.Must(0, "reload")
	wantNoPins(t)
	wantWrong(t, b)
	s.Stop()
}
