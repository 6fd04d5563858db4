package verify

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

// What cannot be known is unknown, with its cause, in verify, status, JSON and metrics, and takes no uplink down: the exit statuses are 0, and
// /uplinks/NAME stays at 200. A broken reply path does take it down.
func TestUnknownIsShownAndTakesNoUplinkDown(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Start()
	awaitVerdict(b, health.Yes)
	b.Shell("nft add table inet t; nft 'add chain inet t o { type filter hook output priority 0; }'; nft add rule inet t o oifname eth1 meta l4proto tcp drop")
	awaitVerdict(b, health.Unknown)
	code, body := box.GetFrom(t, b.Gateway, "http://127.0.0.1:9717/uplinks/isp1")
	if code != http.StatusOK || !strings.Contains(body, `"result": "unknown"`) || !strings.Contains(body, "the firewall drops the reply in OUTPUT") {
		t.Errorf("/uplinks/isp1: %d %s", code, body)
	}
	_, metrics := box.GetFrom(t, b.Gateway, "http://127.0.0.1:9717/metrics")
	for _, line := range []string{`replypath_uplink_up{family="ipv4",interface="eth1",uplink="isp1"} 1`, `replypath_uplink_proven{family="ipv4",interface="eth1",uplink="isp1"} 0`,
		`replypath_proof{family="ipv6",interface="eth1",result="unknown",uplink="isp1",way="verdict"} 1`, `replypath_proof{family="ipv6",interface="eth0",result="yes",uplink="isp0",way="verdict"} 1`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no metric %s", line)
		}
	}
	if text := b.Must(0, "status").Stdout; strings.Count(text, " unknown ") != 2 || !strings.Contains(strings.Join(strings.Fields(text), " "), "reply path unknown: tcp://") {
		t.Errorf("status: %s", text)
	}
	if text := b.Must(0, "verify").Stdout; !strings.Contains(text, "shown: unknown (firewall)") {
		t.Errorf("verify: %s", text)
	}
	b.Shell("ip rule add pref 90 from "+b.Uplinks[1].Addr4.String()+" blackhole", "ip -6 rule add pref 90 from "+b.Uplinks[1].Addr6.String()+" blackhole")
	awaitVerdict(b, health.No)
	if code, body := box.GetFrom(t, b.Gateway, "http://127.0.0.1:9717/uplinks/isp1"); code != http.StatusServiceUnavailable {
		t.Errorf("/uplinks/isp1 of a broken reply path: %d %s", code, body)
	}
	b.Must(3, "status")
	b.Must(3, "verify")
}

// awaitVerdict waits until the service has the verdict on the second uplink in both families.
func awaitVerdict(b *box.Box, want health.Result) {
	b.T.Helper()
	box.Eventually(b.T, box.EventualTimeout, fmt.Sprintf("the verdict on the second uplink is %s", want), func() bool {
		families := b.ServiceStatus().Uplinks[1].Families
		return !slices.ContainsFunc(families, func(f health.FamilyStatus) bool { return f.Verdict.Result != want })
	})
}
