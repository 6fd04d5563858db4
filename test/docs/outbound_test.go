package docs

import (
	"fmt"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"
)

func TestDocumentedPolicyIsPlanned(t *testing.T) {
	t.Parallel()
	page := house.ReadDocument(t, house.Configuration)
	var config string
	for _, m := range codeBlocks.FindAllStringSubmatch(page, -1) {
		if strings.HasPrefix(m[2], "[outbound]") {
			config = m[2]
		}
	}
	b := box.New(t, world.ISPs(t, 3))
	for i, name := range []string{"fibre", "cable", "lte"} {
		u := b.Uplinks[i]
		config += fmt.Sprintf("[uplinks.%s]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", name, i+1, u.Link.Name, u.Router4, u.RouterLL)
	}
	b.Write(config)
	plan := b.Must(3, "plan").Stdout
	for _, want := range []string{"dev eth0 weight 3 nexthop via 192.0.2.1 dev eth1 weight 1", "from 198.18.0.50 ipproto tcp dport 25 goto", "REPLYPATH-NAT -o eth2 -g REPLYPATH-NAT3", "REPLYPATH-NAT3 -m connmark --mark 0x0/0x1f00 -j MASQUERADE"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan has no line with %q:\n%s", want, plan)
		}
	}
	b.Apply()
}
