package service

import (
	"fmt"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// carrierRounds bounds how often a carrier is lost. When the kernel has just announced the loss of one, it withholds the
// next for a second (linkwatch, net/core/link_watch.c): that happens to four of ten. A round in which it does not, or in which
// this machine is too busy, proves nothing.
const carrierRounds = 40

// addDelayedVeth joins gateway and LAN by a link with the same index at both ends. The kernel takes it for one that is no link to
// another, as a network card is none, and announces its carrier late.
func addDelayedVeth(b *box.Box, name string, index int) {
	b.T.Helper()
	there := b.LAN.Command(b.T.Context(), "cat") // runs until the end of its input
	input, err := there.StdinPipe()
	if err == nil {
		err = there.Start()
	}
	if err != nil {
		b.T.Fatal(err)
	}
	b.Shell(fmt.Sprintf("ip link add %s index %d type veth peer name %s index %d netns %d", name, index, name, index, there.Process.Pid),
		"ip link set "+name+" up")
	b.LAN.Run("ip", "link", "set", name, "up")
	input.Close()
	if err := there.Wait(); err != nil {
		b.T.Fatal(err)
	}
}

// carrierLossAnnounced reports whether the kernel has announced the loss of the link's carrier. It dumps all links: the query of a
// single one would make the kernel announce it.
func carrierLossAnnounced(b *box.Box, link string) bool {
	for line := range strings.Lines(b.Gateway.Run("ip", "-o", "link")) {
		if strings.Contains(line, link+"@") {
			return strings.Contains(line, "state DOWN") || strings.Contains(line, "LOWERLAYERDOWN")
		}
	}
	return false
}

func TestCarrierLossIsDetectedBeforeTheKernelAnnouncesIt(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	addDelayedVeth(b, "wire0", 1001)
	addDelayedVeth(b, "other0", 1002)
	addDelayedVeth(b, "control0", 1003) // which the service does not watch
	b.Shell("ip addr add 198.18.9.2/24 dev wire0")
	b.Write(box.UplinkConfig(1, "wire0", `"198.18.9.1"`, ""))
	b.Start()
	reason := func(word string) {
		box.Eventually(t, box.EventualTimeout, word, func() bool {
			return strings.Contains(b.ServiceStatus().Uplinks[0].Families[0].Reason, word)
		})
	}
	set := func(link, how string) { b.LAN.Run("ip", "link", "set", link, how) }
	// The control link loses its carrier before the uplink does: when the service has detected the uplink's loss and the kernel
	// has not announced the control link's, the service has not waited for the kernel.
	for round := range carrierRounds {
		reason("no probe is answered")
		set("other0", "down")
		box.Eventually(t, box.EventualTimeout, "the kernel announces the loss of the other link", func() bool { return carrierLossAnnounced(b, "other0") })
		set("control0", "down")
		set("wire0", "down")
		reason("no carrier")
		if !carrierLossAnnounced(b, "control0") {
			t.Logf("detected before the announcement in round %d", round+1)
			return
		}
		set("other0", "up")
		set("control0", "up")
		set("wire0", "up")
	}
	t.Errorf("in %d rounds the service never detected a lost carrier before the kernel announced it", carrierRounds)
}
