package doctor

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A rule that takes everything is named when it comes behind the policies, as a VPN's traffic then goes by the uplinks; one that
// comes before them is not, and neither is any without policies.
func TestDoctorReportsRulesBehindPolicies(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t), `outbound = { default = "isp0" }`)
	b.Configure(b.Uplinks...)
	b.Apply()
	rules := func(how string, priority string) {
		for _, family := range []string{"-4", "-6"} {
			b.Gateway.Run("ip", family, "rule", how, "priority", priority, "not", "fwmark", "0xca6c", "lookup", "51820")
		}
	}
	for _, family := range []string{"-4", "-6"} {
		b.Gateway.Run("ip", family, "route", "add", "unreachable", "default", "table", "51820")
	}
	rules("add", "32764")
	b.WantFinding(b.RunDoctor(), box.IsWarning, "rule-behind-policies", "ip rule 32764: ", "ip -6 rule 32764: ", "priorities from 4000 to 29999")
	rules("del", "32764")
	rules("add", "31000")
	b.WantFinding(b.RunDoctor(), box.IsWarning, "rule-among-policies", "ip rule 31000: ", "30000 to 31999")
	rules("del", "31000")
	rules("add", "29000")
	d := b.RunDoctor()
	if len(d.Of("rule-behind-policies"))+len(d.Of("rule-among-policies")) > 0 {
		t.Errorf("before the policies: %s", d)
	}
	rules("del", "29000")
	rules("add", "32764")
	b.Settings = b.Settings[:len(b.Settings)-1]
	b.Configure(b.Uplinks...)
	b.Apply()
	if d := b.RunDoctor(); len(d.Of("rule-behind-policies")) > 0 {
		t.Errorf("without policies: %s", d)
	}
}
