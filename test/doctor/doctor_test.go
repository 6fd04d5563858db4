package doctor

import (
	"os"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestDoctorReportsNothingOnAHealthyHost(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		box.LegacyTable(b.Gateway)
		b.Apply()
		before := box.TakeSnapshot(b.Gateway)
		d := b.RunDoctor()
		for _, f := range d.Findings {
			if f.ID != "probes" {
				t.Errorf("a healthy host has the finding %+v", f)
			}
		}
		if len(d.Unseen) > 0 {
			t.Errorf("not looked at: %v", d.Unseen)
		}
		before.WantSame(t, "doctor", b.Gateway)
	})
}

func TestDoctorReportsAndChangesNothingOnAnUntouchedHost(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	if err := os.Remove(b.Config); err != nil {
		t.Fatal(err)
	}
	before := box.TakeSnapshot(b.Gateway)
	if d := b.RunDoctor(); len(d.Findings)+len(d.Unseen) > 0 {
		t.Errorf("an untouched host: %s", d)
	}
	before.WantSame(t, "doctor", b.Gateway)
}

// harmlessSetup makes common foreign objects that look like conflicts and are none.
const harmlessSetup = `
for f in -4 -6; do
	ip $f rule add priority 5210 fwmark 0x80000/0xff0000 lookup main
	ip $f rule add priority 5270 lookup 52
	ip $f rule add priority 9000 not fwmark 0x51820000/0xffff0000 lookup 51820
	ip $f rule add priority 1500 lookup main suppress_prefixlength 0
	ip $f rule add priority 1501 uidrange 1000-1000 lookup 77
	ip $f rule add priority 1502 fwmark 0x4000/0x4000 lookup 77
	ip $f rule add priority 1503 lookup 77 suppress_prefixlength 0
	ip $f rule add priority 1504 goto 1600
	ip $f rule add priority 1600 nop
done
ip route add 203.0.113.64/26 dev eth0 table 8300
for t in iptables ip6tables; do
	$t -t nat -N KUBE-MARK-MASQ
	$t -t nat -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
	$t -t mangle -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000
	$t -t mangle -A PREROUTING -m rpfilter --validmark --invert -j DROP
	$t -t raw -A PREROUTING -m rpfilter --loose --invert -j DROP
	$t -t raw -A PREROUTING -m comment --comment "--notrack" -j CT --helper ftp 2>/dev/null || :
done
nft add table inet firewalld
nft 'add chain inet firewalld mangle_PREROUTING { type filter hook prerouting priority -140; }'
nft add rule inet firewalld mangle_PREROUTING meta nfproto ipv6 fib saddr . mark . iif oif missing drop
nft add rule inet firewalld mangle_PREROUTING fib daddr . iif type local accept
nft add rule inet firewalld mangle_PREROUTING fib saddr oif missing drop
nft add rule inet firewalld mangle_PREROUTING 'meta mark set meta mark | 0x20000'
sysctl -qw net.ipv4.conf.eth0.arp_ignore=1 net.ipv4.conf.lan0.arp_ignore=1
ip addr add 198.51.100.99/24 dev lan0
`

func TestDoctorIgnoresHarmlessRules(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	b.Gateway.Run("sh", "-ec", harmlessSetup)
	for _, f := range b.RunDoctor().Findings {
		if f.ID != "probes" {
			t.Errorf("that is harmless: %+v", f)
		}
	}
}

// What iptables cannot list is listed as nftables has it, and what is ours in there is ours all the same.
func TestDoctorRecognizesOwnRulesThatIptablesCannotList(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
	b.Apply()
	b.Gateway.Run("nft", "add rule ip mangle PREROUTING ct state established counter; add rule ip6 mangle OUTPUT ct state established counter")
	for _, f := range b.RunDoctor().Findings {
		if f.ID != "probes" {
			t.Errorf("that is ours: %+v", f)
		}
	}
}
