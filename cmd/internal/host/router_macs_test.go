package host

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestHardwareAddressIsKeptForAWhileAfterItIsReplaced(t *testing.T) {
	const before, after = "02:00:00:00:01:01", "02:00:00:00:01:02"
	now := time.Now()
	macs := func(known []learntMAC) (all []string) {
		for _, k := range known {
			all = append(all, k.MAC)
		}
		return all
	}
	var known []learntMAC
	for _, c := range []struct {
		what, mac string
		at        time.Duration
		want      []string
	}{
		{"there is no entry yet", "", 0, nil},
		{"the first entry", before, 0, []string{before}},
		{"the router does not answer", "", 10 * supersededMACTime, []string{before}},
		{"another entry", after, 10 * supersededMACTime, []string{after, before}},
		{"a moment later", after, 10*supersededMACTime + time.Second, []string{after, before}},
		{"the old one comes back", before, 10*supersededMACTime + 2*time.Second, []string{before, after}},
		{"and goes again", after, 10*supersededMACTime + 3*time.Second, []string{after, before}},
		{"after a while", after, 11*supersededMACTime + 4*time.Second, []string{after}},
		{"the router does not answer again", "", 20 * supersededMACTime, []string{after}},
	} {
		known = nextMACs(known, c.mac, now.Add(c.at))
		if got := macs(known); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestReplacedHardwareAddressIsOfTheUplinkThatHasItNow(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.3")
	until := time.Now().Add(time.Hour)
	learnt := learntMACs{
		"dsl":   {a: {{MAC: "02:00:00:00:00:02"}, {MAC: "02:00:00:00:00:01", Until: until}}},
		"cable": {b: {{MAC: "02:00:00:00:00:01"}, {MAC: "02:00:00:00:00:03", Until: until}}},
	}
	want := map[string][]string{"dsl": {"02:00:00:00:00:02"}, "cable": {"02:00:00:00:00:01", "02:00:00:00:00:03"}}
	links := map[string]string{"dsl": "eth1", "cable": "eth1"}
	if got := learnt.byUplink(links); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// By another link, such as another VLAN, the same router can be another uplink's.
	links["cable"] = "eth1.20"
	want["dsl"] = []string{"02:00:00:00:00:01", "02:00:00:00:00:02"}
	if got := learnt.byUplink(links); !reflect.DeepEqual(got, want) {
		t.Errorf("on links of their own: got %v, want %v", got, want)
	}
}

func TestSavedHardwareAddressesThatNoRuleCanHaveAreForgotten(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	for mac, want := range map[string]bool{"02:00:00:00:0a:01": true, "02:00:00:00:0A:01": false, "02:00": false, "": false, "x -j DROP": false} {
		if got := (learntMACs{"dsl": {a: {{MAC: mac}}}}).valid(); got != want {
			t.Errorf("%q is valid: %t", mac, got)
		}
	}
}
