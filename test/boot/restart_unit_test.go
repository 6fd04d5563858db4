//go:build boot

package boot

import (
	"net/netip"
	"regexp"
	"slices"
	"time"

	"replypath/test/world"
)

// second logs to the journal when an address of eth1 is there and when a second has passed since. It is a second of the
// machine's own: of twenty steps, each of which starts a program, so that it is the longer the more the machine has to do.
const second = `[Unit]
Description=A second after eth1 has %I
DefaultDependencies=no
After=systemd-journald.socket
Before=systemd-networkd.service networking.service
Conflicts=shutdown.target
[Service]
SyslogIdentifier=second
ExecStart=/bin/sh -c 'until ip -o address show dev eth1 -tentative | grep -qF " %I/"; do sleep 0.02; done; echo "there is %I"; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.05; done; echo "a second since %I"'
[Install]
WantedBy=sysinit.target
`

// counts adds rules that count the packets of the second uplink's addresses.
func (d *disk) counts() {
	d.t.Helper()
	d.Write("/etc/systemd/system/second@.service", second)
	d.Must("systemctl", "enable", "--quiet", "second@192.0.2.2.service", "second@2001:db8:b::2.service")
}

// triggerRestart connects to each address of an uplink until it is accepted, and logs that to the machine's journal.
func (m *machine) triggerRestart(u *world.Uplink) {
	for _, a := range u.Addrs() {
		go func() {
			for m.t.Context().Err() == nil {
				if reply := m.Client.Send(world.Request{Kind: world.KindPing, To: netip.AddrPortFrom(a, 0), Timeout: 100 * time.Millisecond}); reply.OK {
					m.try("logger", "--tag=client", "a reply from "+a.String())
					return
				}
			}
		}()
	}
}

// prompt wants a reply by the second uplink before a second has passed since it has its address, in either family.
func (m *machine) prompt() {
	m.t.Helper()
	for _, a := range m.Uplinks[1].Addrs() {
		output := func(form string) (all []entry, path int) {
			match := regexp.MustCompile(form + regexp.QuoteMeta(a.String()) + "$")
			m.await(form+a.String(), func() bool {
				all = m.journal()
				path = slices.IndexFunc(all, func(e entry) bool { return match.MatchString(e.text) })
				return path >= 0
			})
			return all, path
		}
		output("^a reply from ")
		all, passed := output("^a second since ")
		_, reply := output("^a reply from ")
		_, there := output("^there is ")
		m.t.Logf("%s is there; the reply %s and the second %s later", a, all[reply].at.Sub(all[there].at), all[passed].at.Sub(all[there].at))
		if reply > passed {
			m.t.Errorf("no reply from %s in a second\n%s", a, m.log())
		}
	}
}
