// Package firsthop probes the gateway of an uplink by ARP or IPv6 neighbour discovery. Such a probe depends on no route, on no
// firewall of the gateway and on no ICMP rate limit. It says nothing about the Internet behind the gateway.
//
// All probes of a family share two sockets, however many uplinks there are. Requests are frames of their own: a solicitation that the
// kernel routes costs a walk over the multicast routes of all links. Replies are received by one socket: the kernel tests those of the
// same protocol one by one for each packet. Probes that are due together are sent by one goroutine, and none waits for its reply: a
// timer, or the next batch, ends those without one.
package firsthop
