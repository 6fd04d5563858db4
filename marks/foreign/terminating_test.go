package foreign_test

import (
	"strings"
	"testing"

	"replypath/marks/foreign"
)

// TestTerminates uses listings of real programs, as iptables -S prints them.
func TestTerminates(t *testing.T) {
	chains := map[string]string{
		"DIVERT":    "-N DIVERT\n-A DIVERT -j MARK --set-xmark 0x1/0xffffffff\n-A DIVERT -j ACCEPT",
		"QOS":       "-N QOS\n-A QOS -p icmp -j RETURN\n-A QOS -j DSCP --set-dscp 0x2e",
		"EMPTY":     "-N EMPTY",
		"DEEP":      "-N DEEP\n-A DEEP -j QOS\n-A DEEP -i eth0 -j DIVERT",
		"LOOP-A":    "-N LOOP-A\n-A LOOP-A -j LOOP-B",
		"LOOP-B":    "-N LOOP-B\n-A LOOP-B -j LOOP-A\n-A LOOP-B -j LOG",
		"GOES":      "-N GOES\n-A GOES -g QOS",
		"UNREAD":    "-N UNREAD\n-A UNREAD",
		"LOOP-DROP": "-N LOOP-DROP\n-A LOOP-DROP -j LOOP-DROP\n-A LOOP-DROP -j DROP",
	}
	list := func(chain string) []string {
		if chains[chain] == "" {
			return nil
		}
		return strings.Split(chains[chain], "\n")
	}
	for name, c := range map[string]struct {
		rules string
		want  bool
	}{
		"nothing":                                   {"-P PREROUTING ACCEPT", false},
		"a divert of transparent sockets":           {"-A PREROUTING -p tcp -m socket --transparent -j DIVERT", true},
		"a harmless mark":                           {"-A PREROUTING -i lan0 -j MARK --set-xmark 0x1/0xff", false},
		"a log":                                     {`-A PREROUTING -j LOG --log-prefix "in: "`, false},
		"a log prefix that contains a target":       {`-A PREROUTING -j LOG --log-prefix "see -j DROP "`, false},
		"a comment that contains a target":          {`-A PREROUTING -m comment --comment "was -j LOG once" -j DROP`, true},
		"a comment that contains a goto":            {`-A PREROUTING -m comment --comment "no -g here" -j MARK --set-xmark 0x1/0xff`, false},
		"a comment with a quote in it":              {`-A PREROUTING -m comment --comment "say \"-j LOG" -j ACCEPT`, true},
		"a clamp, as on PPP links":                  {"-A PREROUTING -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", false},
		"an accept":                                 {"-A PREROUTING -i lo -j ACCEPT", true},
		"a drop":                                    {"-A PREROUTING -m conntrack --ctstate INVALID -j DROP", true},
		"a transparent proxy":                       {"-A PREROUTING -p udp -j TPROXY --on-port 9000 --on-ip 192.0.2.1 --tproxy-mark 0x1/0x1", true},
		"a queue":                                   {"-A PREROUTING -j NFQUEUE --queue-num 0", true},
		"an unknown target":                         {"-A PREROUTING -j FUTURE", true},
		"a return ends a built-in chain":            {"-A PREROUTING -i lo -j RETURN", true},
		"a goto":                                    {"-A PREROUTING -i eth0 -g QOS", true},
		"a chain that returns":                      {"-A PREROUTING -j QOS", false},
		"an empty chain":                            {"-A PREROUTING -j EMPTY", false},
		"a chain that jumps to one that ends":       {"-A PREROUTING -j DEEP", true},
		"a chain with a goto":                       {"-A PREROUTING -j GOES", true},
		"chains that jump in a circle":              {"-A PREROUTING -j LOOP-A", false},
		"a circle that ends":                        {"-A PREROUTING -j LOOP-DROP", true},
		"a rule that iptables-nft cannot read":      {"-A PREROUTING", true},
		"a chain with a rule that it cannot read":   {"-A PREROUTING -j UNREAD", true},
		"a rule that only counts":                   {"-A PREROUTING -i eth0", false},
		"an end behind much that is harmless":       {"-P PREROUTING ACCEPT\n-A PREROUTING -j QOS\n-A PREROUTING -j TRACE\n-A PREROUTING -d 192.0.2.1/32 -j DROP", true},
		"a policy of dropping comes after all":      {"-P PREROUTING DROP\n-A PREROUTING -j QOS", false},
		"the same harmless chain more than once":    {"-A PREROUTING -j QOS\n-A PREROUTING -j QOS", false},
		"a jump that has a return behind it inside": {"-A PREROUTING -i lan0 -j QOS\n-A PREROUTING -i lan1 -j RETURN", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := foreign.Terminates(strings.Split(c.rules, "\n"), list); got != c.want {
				t.Errorf("got %v for\n%s", got, c.rules)
			}
		})
	}
}
