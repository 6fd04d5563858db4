// Package icmp asks by ICMP echo: does the target answer through this uplink, and does its answer come back by it?
//
// pro-bing sends the questions. It cannot tell by which link an answer came in, so for each family one more socket, the
// witness, hears all answers and tells. A pinger lives for some hundred questions of one path, and no longer than its
// mark, source and link: what pro-bing would remember for ever, such as every packet that was lost, ends with it.
package icmp
