package main

import (
	"net/netip"

	"replypath/test/world"
)

// Ports: where the services listen, where no service listens, and where the gateway forwards both of a LAN host.
const (
	openPort      = 7000
	closedPort    = 7999
	lanOpenPort   = 8000
	lanClosedPort = 8999
)

func serve(h *world.Host) {
	h.ServeTCP(openPort)
	h.ServeUDP(openPort, world.Pktinfo)
}

func serveHere(in *world.Internet) { serve(in.Gateway) }

func serveLAN(in *world.Internet) { serve(in.LAN) }

// serveBoth starts services on the gateway, and on the LAN host behind forwarded ports.
func serveBoth(in *world.Internet) {
	serve(in.Gateway)
	serve(in.LAN)
	publishPorts(in)
}

// publishAll forwards all requests to the gateway.
func publishAll(in *world.Internet) {
	for _, u := range in.Uplinks {
		for _, a := range u.Addrs() {
			echo := []string{"-p", "icmp", "--icmp-type", "echo-request"}
			if a.Is6() {
				echo = []string{"-p", "icmpv6", "--icmpv6-type", "echo-request"}
			}
			forward(in, a, 0, echo...)
			forward(in, a, 0, "-p", "tcp")
			forward(in, a, 0, "-p", "udp")
		}
	}
}

func publishPorts(in *world.Internet) {
	for _, u := range in.Uplinks {
		for _, a := range u.Addrs() {
			forward(in, a, openPort, "-p", "tcp", "--dport", "8000")
			forward(in, a, openPort, "-p", "udp", "--dport", "8000")
			forward(in, a, closedPort, "-p", "tcp", "--dport", "8999")
		}
	}
}

// forward adds a DNAT from one of the gateway's addresses to the LAN host, and to a port when there is one.
func forward(in *world.Internet, at netip.Addr, port uint16, match ...string) {
	command, to := "iptables", in.LAN4
	if at.Is6() {
		command, to = "ip6tables", in.LAN6
	}
	target := to.String()
	if port != 0 {
		target = netip.AddrPortFrom(to, port).String()
	}
	args := append([]string{"-w", "-t", "nat", "-A", "PREROUTING", "-d", at.String()}, match...)
	in.Gateway.Run(command, append(args, "-j", "DNAT", "--to-destination", target)...)
}
