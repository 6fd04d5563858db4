package apply

import (
	"fmt"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// paste runs a plan's lines in a shell, all at once or each in a shell of its own, and wants the host in sync then.
func paste(t *testing.T, b *box.Box, apart bool) {
	t.Helper()
	plan := b.Must(3, "plan").Stdout
	texts := []string{plan}
	if apart {
		texts = strings.Split(strings.TrimSpace(plan), "\n")
	}
	for _, text := range texts {
		b.Gateway.Run("sh", "-ec", text)
	}
	if r := b.Run("plan"); r.Status != 0 {
		t.Errorf("plan after its lines were pasted: %s", r)
	}
}

func TestPlanCanBePastedIntoAShell(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, n := range []int{2, 20} {
			t.Run(fmt.Sprintf("%d uplinks", n), func(t *testing.T) {
				t.Parallel()
				b := box.New(t, world.ISPs(t, n), backend)
				paste(t, b, n < 20)
				b.Configure(b.Uplinks[1:]...)
				paste(t, b, n >= 20)
			})
		}
	})
}

func TestPlanForLinksWithDotsCanBePasted(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.ISPs(t, 1))
	for _, name := range []string{"eth1.100", "br-lan.7", "a"} {
		b.Join(b.Gateway, name, b.Host("cl"), "p"+name)
		b.Gateway.Run("ip", "addr", "add", "198.18.7.2/24", "dev", name)
		b.Write(fmt.Sprintf("[uplinks.dotted]\nid = 17\ninterface = %q\ngateway = [\"198.18.7.1\", \"fe80::9\"]\n", name))
		paste(t, b, true)
		b.Must(0, "flush")
		b.Gateway.Run("ip", "addr", "del", "198.18.7.2/24", "dev", name)
	}
}

func TestRepairPlanCanBePasted(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		b.Apply()
		for _, d := range []damage{routing[2], routing[3], routing[4], routing[5], routing[12], onlyIPv4[0], filtering[0], filtering[4], filtering[5],
			filtering[6], filtering[8], filtering[9], allDamage()} {
			b.FamilyShell(4, d.lines)
			paste(t, b, true)
			b.FamilyShell(4, d.undo)
		}
	})
}
