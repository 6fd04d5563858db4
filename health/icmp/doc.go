// Package icmp asks by ICMP echo: does the target answer through this uplink, and does its answer come back by it?
//
// pro-bing sends the question and takes the answer. It cannot tell by which link the answer came in, so for each
// family one more socket, the Witness, hears all answers and tells. Every question has a pinger of its own: what
// pro-bing remembers for ever, such as lost packets and the index of a link, ends with it.
package icmp
