// Package bpf loads BPF programs and attaches them: to control groups, and to links. It is the only package of the commands that
// imports the BPF library; the programs are written in its assembler, so that no compiler is needed.
//
// The programs of [udp] (udp_programs.go) make UDP servers on the wildcard address reply from the address that received the
// request. They and their maps are pinned in a BPF file system, in a folder of the network namespace, so that they outlive the
// process; UDP (udp.go) reads, replaces and removes them. Who fills the map of addresses must renew its leases: a program whose
// service is dead must not choose an address that may be gone.
//
// Programs at links (link_programs.go) need no service: filters at egress (egress_filter.go) drop what is not translated, classifiers at
// ingress (router_classifier.go) mark packets by the neighbour entry of their router.
//
// For replypath use, Hierarchy (hierarchy.go) makes control groups in a mount of its own, and Group.MarkSockets (socket_mark.go)
// marks the sockets of their processes.
package bpf
