package main

import (
	"net/netip"

	"replypath/test/world"
)

// scenes are what is shown, in order.
var scenes = []scene{
	{
		title: "A service on the gateway itself",
		why: `  The default route is by eth0, so all replies leave there.
`,
		build:    serveHere,
		requests: gatewayRequests,
		expected: onlyDefaultUplinkReplies,
	},
	{
		title: "A LAN host behind DNAT",
		why: `  The gateway forwards everything that it is asked to 198.18.0.2 and
  2001:db8:f::2. Replies are routed before their source is translated back, so
  rules that look at the source cannot help.
`,
		build:    func(in *world.Internet) { serveLAN(in); publishAll(in) },
		requests: lanRequests,
		expected: onlyDefaultUplinkReplies,
	},
	{
		title: "Strict rp_filter",
		why: `  The kernel drops what comes in by an interface that it would not answer by.
  (There is no such filter for IPv6.) The gateway answers itself, and also
  forwards the ports 8000 and 8999 to the LAN host.
`,
		build: func(in *world.Internet) {
			serveBoth(in)
			in.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
		},
		requests: allRequests,
		expected: func(asked *world.Uplink, ipv6 bool) outcome {
			if asked.Index == 1 && !ipv6 {
				return outcome{}
			}
			return onlyDefaultUplinkReplies(asked, ipv6)
		},
	},
	{
		title: "A specific route to the client, by the other uplink",
		why: `  The main table leads to 203.0.113.0/24 and 2001:db8:c::/64 by eth1, as it does
  where eth1 is a management network too. The default route is by eth0.
`,
		build:    func(in *world.Internet) { serveBoth(in); manage(in) },
		requests: allRequests,
		expected: func(asked *world.Uplink, _ bool) outcome {
			return outcome{asked.Index == 1, "eth1"}
		},
	},
	{
		title: "No default route in main",
		why: `  The main table does not lead to the client at all.
`,
		world:    world.Options{NoDefault: true},
		build:    serveBoth,
		requests: allRequests,
		expected: func(*world.Uplink, bool) outcome { return outcome{} },
	},
}

func onlyDefaultUplinkReplies(u *world.Uplink, _ bool) outcome {
	return outcome{u.Index == 0, "eth0"}
}

// manage adds routes to the client's networks by eth1.
func manage(in *world.Internet) {
	u := in.Uplinks[1]
	in.Gateway.AddRoute(world.Route{To: netip.MustParsePrefix("203.0.113.0/24"), Via: u.Router4, Link: u.Link})
	in.Gateway.AddRoute(world.Route{To: netip.MustParsePrefix("2001:db8:c::/64"), Via: u.RouterLL, Link: u.Link})
}
