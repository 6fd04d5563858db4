package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// lateCarrier is less than the second for which the kernel keeps the loss of a carrier to itself when it has just told of
// another one, and many times what it takes to see it. That happens to four of ten; one of ten may be late because the
// machine is busy.
const lateCarrier = 600 * time.Millisecond

// addDelayedVeth joins gateway and LAN by a link with the same index at both ends. The kernel takes it for one that is no link to
// another, as a network card is none, and takes its time to tell of its carrier.
func (b *box) addDelayedVeth(name string, index int) {
	b.t.Helper()
	there := b.LAN.Command(b.t.Context(), "cat") // stays until it is told the end of its input
	input, err := there.StdinPipe()
	if err == nil {
		err = there.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.shell(fmt.Sprintf("ip link add %s index %d type veth peer name %s index %d netns %d", name, index, name, index, there.Process.Pid),
		"ip link set "+name+" up")
	b.LAN.Run("ip", "link", "set", name, "up")
	input.Close()
	if err := there.Wait(); err != nil {
		b.t.Fatal(err)
	}
}

// carrierLossAnnounced tells whether the kernel has told that the link has no carrier. All links are asked for: of a single one it
// would tell then.
func (b *box) carrierLossAnnounced(link string) bool {
	for line := range strings.Lines(b.Gateway.Run("ip", "-o", "link")) {
		if strings.Contains(line, link+"@") {
			return strings.Contains(line, "state DOWN") || strings.Contains(line, "LOWERLAYERDOWN")
		}
	}
	return false
}

func TestCarrierLossIsDetectedBeforeTheKernelAnnouncesIt(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.addDelayedVeth("wire0", 1001)
	b.addDelayedVeth("other0", 1002)
	b.shell("ip addr add 198.18.9.2/24 dev wire0")
	b.write(wan(1, "wire0", `"198.18.9.1"`, ""))
	b.start()
	reason := func(word string) {
		eventually(t, eventualTimeout, word, func() bool {
			return strings.Contains(b.serviceStatus().Uplinks[0].Families[0].Reason, word)
		})
	}
	set := func(link, how string) { b.LAN.Run("ip", "link", "set", link, how) }
	var slow []time.Duration
	for range 10 {
		reason("nobody answers")
		set("other0", "down")
		eventually(t, eventualTimeout, "the kernel tells of the other link", func() bool { return b.carrierLossAnnounced("other0") })
		began := time.Now()
		set("wire0", "down")
		reason("no carrier")
		if took := time.Since(began); took >= lateCarrier {
			slow = append(slow, took)
		}
		set("other0", "up")
		set("wire0", "up")
	}
	if len(slow) > 1 {
		t.Errorf("%d of 10 lost carriers are seen late: %v", len(slow), slow)
	}
}
