package marks

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// CountedRouter is a router of an uplink with several: the packets by which it begins connections are counted. What it sends to groups
// and to all, such as the advertisements of VRRP, begins none.
type CountedRouter struct {
	ID   ID // of the uplink
	Link string
	MAC  string // in lower case
}

// RouterCountersPre is the chain that counts the requests of routers. It is there only if there are some to count.
const RouterCountersPre = "prerouting"

// WithRouters returns the definition with routers whose requests are counted.
func (c RouterCounters) WithRouters(all []CountedRouter) RouterCounters {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b CountedRouter) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.MAC, b.MAC)) })
	c.Routers = NewList(all...)
	return c
}

// Counter returns the name of the counter of the router's requests.
func (r CountedRouter) Counter() string {
	return fmt.Sprintf("router%d-%s", r.ID, strings.ReplaceAll(r.MAC, ":", ""))
}

// ParseRouterCounter returns the id of the uplink and the hardware address of the router that a counter is for. ok is false if the name is
// none of CountedRouter.Counter.
func ParseRouterCounter(name string) (id ID, mac string, ok bool) {
	number, digits, found := strings.Cut(strings.TrimPrefix(name, "router"), "-")
	n, err := strconv.ParseUint(number, 10, 8)
	if !found || err != nil || len(digits) != 2*hardwareAddrSize {
		return 0, "", false
	}
	address := make(net.HardwareAddr, hardwareAddrSize)
	for i := range address {
		b, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			return 0, "", false
		}
		address[i] = byte(b)
	}
	r := CountedRouter{ID: ID(n), MAC: address.String()}
	return r.ID, r.MAC, r.Counter() == name
}

// nftRouterCommands returns the commands of nft(8) that make what counts the requests of routers; none if there are none to count. of
// returns the command that adds an object.
func (c RouterCounters) nftRouterCommands(of func(kind, name string) string) (commands []string) {
	all := c.Routers.Values()
	if len(all) == 0 {
		return nil
	}
	commands = append(commands, of("chain", RouterCountersPre)+fmt.Sprintf(" { type filter hook prerouting priority %d; policy accept; }", RouterCountersPriority),
		of("rule", RouterCountersPre)+" ct state != new return", of("rule", RouterCountersPre)+" meta pkttype != host return")
	for _, r := range all {
		commands = append(commands, of("counter", r.Counter()),
			of("rule", RouterCountersPre)+fmt.Sprintf(" iifname %q ether saddr %s counter name %s", r.Link, r.MAC, r.Counter()))
	}
	return commands
}
