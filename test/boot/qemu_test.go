//go:build boot && qemu

package boot

import (
	"fmt"
	"testing"
	"time"

	"replypath/test/world"
)

// wired is a whole machine in whose place the world's gateway only joins the wires.
type wired struct {
	*vm
	*world.Internet
}

// The links of the machine, by the last number of their hardware address.
var wires = []string{"eth0", "eth1", "lan0"}

// report makes the machine print how the boot ended.
const report = `echo "report: system $(systemctl is-system-running --wait)"; sleep 5; replypath verify >/dev/null; echo "report: verify $?"; replypath plan >/dev/null; echo "report: plan $?"; echo "report: shown $(replypath status | grep -c shown)"; uname -r`

// TestVirtualMachine boots a disk on which the package was installed offline, and cuts its power.
func TestVirtualMachine(t *testing.T) {
	d := wholeDisk(t)
	d.install(deb)
	d.networkd()
	d.uplinks(2)
	d.Write("/etc/systemd/network/lan0.network", "[Match]\nName=lan0\n[Network]\nAddress=198.18.0.1/24\nAddress=2001:db8:f::1/64\nIPv6AcceptRA=no\n")
	for i, name := range wires {
		d.Write("/etc/systemd/network/10-"+name+".link", fmt.Sprintf("[Match]\nMACAddress=02:00:00:00:77:0%d\n[Link]\nName=%s\n", i, name))
	}
	d.reports(report)
	w := fresh(t, 2)
	m := wired{newVM(t, d, w.Gateway, wires...), w}
	m.join()
	for _, cut := range []bool{false, true} {
		began := time.Now()
		m.power()
		m.wantReplies()
		t.Logf("answered after %s", time.Since(began).Round(time.Second))
		for _, want := range []string{"system running", "verify 0", "plan 0", "shown 4"} {
			m.wantConsole("report: " + want)
		}
		t.Logf("power cut before: %t; reported after %s", cut, time.Since(began).Round(time.Second))
		m.cut()
	}
}

// join gives each wire a port for the machine, on a bridge in the world's gateway, which has no address any more.
func (m wired) join() {
	m.t.Helper()
	for _, name := range wires {
		tap := "tap-" + name
		m.Gateway.Run("ip", "addr", "flush", "dev", name)
		m.Gateway.Run("ip", "tuntap", "add", tap, "mode", "tap")
		m.Gateway.Run("ip", "link", "add", "br-"+name, "type", "bridge", "mcast_snooping", "0")
		for _, port := range []string{name, tap} {
			m.Gateway.Run("ip", "link", "set", port, "master", "br-"+name, "up")
		}
		m.Gateway.Run("ip", "link", "set", "br-"+name, "up")
	}
}

// wantReplies waits until everything is answered by its uplink: pings, closed ports, and what is forwarded.
func (m wired) wantReplies() {
	m.t.Helper()
	var err error
	for late := time.Now().Add(vmTime); time.Now().Before(late); {
		if err = m.request(); err == nil {
			return
		}
	}
	m.t.Fatalf("%v; the console:\n%s", err, m.consoleOutput())
}

func (m wired) request() error {
	for _, u := range m.Uplinks {
		for _, a := range u.Addrs() {
			for _, q := range []world.Request{{Kind: world.KindPing}, {Kind: world.KindClosedTCP}, {Kind: world.KindClosedUDP}, {Kind: world.KindTCP}} {
				q.Timeout, q.To = 3*time.Second, u.Port4(port)
				if a.Is6() {
					q.To = u.Port6(port)
				}
				if q.Kind == world.KindTCP {
					q.To = u.Port4(forwarded)
					if a.Is6() {
						q.To = u.Port6(forwarded)
					}
				}
				if reply := m.Client.Send(q); !reply.OK {
					return fmt.Errorf("eth%d: %s to %s: %s", u.Index, q.Kind, q.To, reply)
				}
			}
		}
	}
	return nil
}
