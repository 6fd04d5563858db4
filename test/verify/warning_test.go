package verify

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// served is the port of the gateway's server.
var served = strconv.Itoa(box.ServedPort)

// warningCases damage the way of replies that are right all the same: by the rule for their address.
var warningCases = map[string]struct {
	damage func(b *box.Box, family int)
	cause  string
	reason []string
}{
	"requests to a port are exempt from connection tracking": {
		damage: func(b *box.Box, family int) {
			b.Iptables(family, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", served, "-j", "NOTRACK")
			b.Iptables(family, "-t", "raw", "-A", "OUTPUT", "-p", "tcp", "--sport", served, "-j", "NOTRACK")
		},
		cause: "notrack", reason: []string{"raw PREROUTING", "-j", "lookup 8202, added by replypath"},
	},
	"replies from a port are exempt from connection tracking": {
		damage: func(b *box.Box, family int) {
			b.Iptables(family, "-t", "raw", "-A", "OUTPUT", "-p", "tcp", "--sport", served, "-j", "NOTRACK")
		},
		cause: "notrack", reason: []string{"raw OUTPUT"},
	},
	"a proxy of handshakes": {
		damage: func(b *box.Box, family int) {
			b.Gateway.SetSysctl("net.netfilter.nf_conntrack_tcp_loose", "0")
			b.Iptables(family, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", served, "--syn", "-j", "CT", "--notrack")
			b.Iptables(family, "-A", "INPUT", "-p", "tcp", "--dport", served, "-m", "conntrack", "--ctstate", "INVALID,UNTRACKED", "-j", "SYNPROXY", "--sack-perm", "--timestamp", "--wscale", "7", "--mss", "1460")
			b.Iptables(family, "-A", "INPUT", "-p", "tcp", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
		},
		cause: "synproxy", reason: []string{"SYNPROXY"},
	},
	"a traffic shaper sets the whole mark of one port's replies": {
		damage: func(b *box.Box, family int) {
			b.Iptables(family, "-t", "mangle", "-A", "OUTPUT", "-p", "tcp", "--sport", served, "-j", "MARK", "--set-mark", "1")
		},
		cause: "output-mark", reason: []string{"mangle OUTPUT", "--set-xmark 0x1/0xffffffff", "lookup 8202, added by replypath"},
	},
	"another program sets bits of the mask": {
		damage: func(b *box.Box, family int) {
			b.Iptables(family, "-t", "mangle", "-A", "OUTPUT", "-j", "MARK", "--set-xmark", "0xe00/0xf00")
		},
		cause: "output-mark", reason: []string{"0xe00", "--set-xmark 0xe00/0xf00"},
	},
	"another program resets the whole mark": {
		damage: func(b *box.Box, family int) {
			table := fmt.Sprintf("table %s other", map[int]string{4: "ip", 6: "ip6"}[family])
			b.Shell("nft '" + table + " { chain out { type route hook output priority -100; meta mark set 0; }; }'")
		},
		cause: "output-mark", reason: []string{"other out", "meta mark set 0x0"},
	},
	"requests are in a zone of connection tracking": {
		damage: func(b *box.Box, family int) {
			b.Iptables(family, "-t", "raw", "-I", "PREROUTING", "-i", "eth1", "-j", "CT", "--zone", "5")
		},
		cause: "ct-zone", reason: []string{"zone 5", "--zone 5"},
	},
}

// A warning names what is wrong on the way, and takes no uplink down: every reply is right.
func TestRepliesThatAreRightAreAtMostAWarning(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, c := range warningCases {
			for _, family := range []int{4, 6} {
				t.Run(fmt.Sprintf("%s in IPv%d", name, family), func(t *testing.T) {
					b := box.New(t, world.TwoISPs(t), backend)
					box.ServeAll(b.Gateway)
					b.Apply()
					c.damage(b, family)
					verifyCase{routes: "yes", trace: "yes " + c.cause, reason: c.reason}.check(t, b.Verify(), b, family)
					if v := b.Verify(); v.Result != "yes" || v.Path(b.Uplinks[1], family).Verdict.Short() != "yes "+c.cause {
						t.Errorf("the verdict is %s: %s", v.Result, v.Path(b.Uplinks[1], family).Verdict)
					}
					b.RecordEgress().WantRepliesFromAll(t, b.Client, world.Kinds)
				})
			}
		}
	})
}

// The service goes by the same verdict: a load balancer may use the uplink.
func TestAWarningTakesNoUplinkDown(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	box.ServeAll(w.Gateway)
	b := box.New(t, w, "[proof]\nevery = \"5s\"")
	s := b.Start()
	b.AwaitUp()
	b.Iptables(4, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", served, "-j", "NOTRACK")
	box.Eventually(t, box.EventualTimeout, "the service warns", func() bool {
		f := b.ServiceStatus().Uplinks[1].Families[0]
		if f.State != "up" {
			t.Fatalf("%s: %s", f.State, f.Reason)
		}
		return f.Verdict.Result == "yes" && f.Verdict.Cause == "notrack"
	})
	if code, body := box.GetFrom(t, b.Gateway, "http://127.0.0.1:9717/uplinks/isp1"); code != http.StatusOK {
		t.Errorf("/uplinks/isp1 returns %d: %s", code, body)
	}
	s.Stop()
}
