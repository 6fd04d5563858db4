//go:build boot

package boot

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"replypath/test/world"
)

// knocker asks for an address until somebody answers.
type knocker struct {
	mu    sync.Mutex
	first time.Time
}

func (m *machine) knock(u *world.Uplink) *knocker {
	k := &knocker{}
	for _, a := range u.Addrs() {
		go func() {
			for m.t.Context().Err() == nil {
				if answer := m.Client.Ask(world.Question{Kind: world.AskPing, To: netip.AddrPortFrom(a, 0), Timeout: 100 * time.Millisecond}); answer.OK {
					k.mu.Lock()
					defer k.mu.Unlock()
					if k.first.IsZero() {
						k.first = time.Now()
					}
					return
				}
			}
		}()
	}
	return k
}

func (k *knocker) answered() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.first
}

// soonEnough is how late the first reply may be after the uplink has its address.
const soonEnough = time.Second

// TestTheFirstRepliesAfterABootAreSymmetric installs the package where nothing runs, as an image builder does, and has
// a client ask from before the boot on. One boot of three must be quick: others may need the machine's processors.
func TestTheFirstRepliesAfterABootAreSymmetric(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	d.uplinks(2)
	for range 3 {
		m := boot(t, d, fresh(t, d, 2))
		second := m.knock(m.Uplinks[1])
		m.up()
		m.answersAtOnce()
		address, table := m.order()
		m.off()
		late, reply := table.Sub(address), second.answered().Sub(address)
		t.Logf("eth1 has its address, its table %s later, and the first reply %s later", late, reply)
		if late <= soonEnough && reply <= soonEnough {
			return
		}
	}
	t.Errorf("never within %s", soonEnough)
}

// order wants the events of the boot in their right order, and gives when the second uplink had its address, and when
// its table.
func (m *machine) order() (address, table time.Time) {
	m.t.Helper()
	all := m.journal()
	has, told := m.first(all, `eth1: DHCPv4 address 192\.0\.2\.2/24`)
	applied, done := m.first(all, `msg=changed .*default via 192\.0\.2\.1 dev eth1 .*table 8202`)
	started, _ := m.first(all, `^Started replypath\.service`)
	network, _ := m.first(all, `^Reached target network\.target`)
	if started > network {
		m.t.Errorf("servers that wait for network.target need not wait for the service\n%s", m.log())
	}
	if applied < has {
		m.t.Errorf("applied before there was an address\n%s", m.log())
	}
	return told.at, done.at
}

// TestAMissingUplinkDelaysNothing boots a host of which one NIC is missing, and adds it later.
func TestAMissingUplinkDelaysNothing(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	d.uplinks(3)
	w := fresh(t, d, 3)
	late := w.Uplinks[2]
	late.Link.Delete()
	m := boot(t, d, w)
	m.up()
	m.symmetric(w.Uplinks[:2]...)
	if state := m.run("systemctl", "is-active", "replypath.service", "multi-user.target"); state != "active\nactive" {
		t.Errorf("%s\n%s", state, m.log())
	}
	w.Rewire(late)
	m.symmetric()
	m.off()
}

func TestIfupdown(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.ifupdown()
	d.uplinks(2)
	m := boot(t, d, fresh(t, d, 2))
	m.up()
	m.answersAtOnce()
	m.off()
}

// TestWithoutAConfigurationNothingIsTouched boots a host on which the package was installed and nothing else done.
func TestWithoutAConfigurationNothingIsTouched(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	m := boot(t, d, fresh(t, d, 2))
	m.up()
	if got := m.run("systemctl", "show", "--property=Result,ActiveState,NRestarts", "replypath.service"); got != "Result=success\nNRestarts=0\nActiveState=inactive" {
		t.Errorf("the service: %s\n%s", got, m.log())
	}
	m.first(m.journal(), `nothing to do.*replypath init --write`)
	m.untouched()
	m.off()
}
