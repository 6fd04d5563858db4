// Package proof decides whether replies leave by the interface that their request arrived on, and if not, why. It is pure:
// package prover (cmd/internal/prover) reads the kernel, injects requests and captures packets.
//
// The path of verify's question to its verdict, by file:
//
//	cmd/replypath/verify.go     reads the configuration and calls the prover for all paths.
//	cmd/internal/prover         prover.go makes the proof, explanation.go reads what explains it: rules, routes, firewall, sockets.
//	peer.go, lan_host.go        choose the peer address that requests seem to come from, and a LAN host.
//	route_check.go              LookUpRoutes queries the kernel's route decisions (RTM_GETROUTE) for replies and requests;
//	                            CheckRoutes compares them with the path. This is the verdict that verify prints as "asked".
//	client_network.go           chooses networks of clients that other programs select.
//	client_check.go             looks up their packets too (LookUpClients), as a part of "asked".
//	route_cause.go              finds the rule or route that sends a packet elsewhere, and the program that added it.
//	request.go                  lists the requests of each path: an echo, a closed TCP port, a datagram, a listener, services.
//	capture, inject             watch the hooks of the kernel's packet flow, and inject the requests at the interface's ingress;
//	                            trace.go of the prover drives both.
//	timeout.go                  says how long the prover waits for the replies.
//	secret.go                   is what a packet must carry to be taken for one of the proof.
//	observation.go, trace.go    group the captured observations by request.
//	trace_check.go              CheckTraces decides by where replies would have left, or names the hook at which a request or its
//	                            reply was lost. This is the verdict that verify prints as "shown".
//	mark_check.go               names what keeps the mark from a packet: a rule, NOTRACK, a zone, a bridge.
//	reply_cause.go              looks up the reply as it was observed, for the cause of a wrong interface.
//	inside_neighbour.go         finds requests that were sent to another hardware address than their host has.
//	output_ttl.go               finds replies that the next router drops, as their TTL ends.
//	output_neighbour.go         compares the destination of a reply's frame with what its gateway replies from.
//	output.go                   finds what took a reply behind its route: rules of other programs, IPsec policies, neighbours, tc.
//	result.go                   summarizes the verdicts of a path (Summarize) and of all paths (Overall); package health combines
//	                            them with the reply counters (Proof.Verdict).
package proof
