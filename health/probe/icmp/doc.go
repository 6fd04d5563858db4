// Package icmp probes by ICMP echo: does the target answer through this uplink, and does its reply come back by it?
//
// pro-bing sends the echo requests. It cannot report the interface that a reply arrived on, so one raw socket per family,
// the ingress observer, receives the replies. Only pro-bing's documented surface is used (sender.go, pinger.go):
//
//   - It opens a socket for each run. So one run sends the requests of a path one after the other; OnSend blocks in between.
//   - It polls for replies many times a second, also when none is outstanding. OnRecvError blocks that goroutine.
//   - It keeps state of each lost request until the run ends. So a run ends after maxRequests.
//   - It does not export the UUID that its requests carry. So that UUID is made of random octets that are known.
//   - It repeats a request that fails with EACCES for ever. The logger counts the attempts and ends them.
package icmp
