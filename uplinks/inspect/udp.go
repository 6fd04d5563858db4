package inspect

import "strings"

// udpRemedy says what the programs of [udp] need.
const udpRemedy = `they need Linux 5.14 or later with CONFIG_CGROUP_BPF, cgroup version 2 and a writable BPF file system (mount -t bpf bpf /sys/fs/bpf), CAP_BPF and CAP_NET_ADMIN; or remove the key`

// egressFilterRemedy says what the filters at egress need.
const egressFilterRemedy = `some do after "nft flush ruleset", until the repair; filters at egress, which prevent it, need Linux 6.6, a writable BPF file system ` +
	`(mount -t bpf bpf /sys/fs/bpf), CAP_BPF and CAP_NET_ADMIN`

// classifierRemedy says what the classifiers at ingress need.
const classifierRemedy = `they do within milliseconds; to know the router at once, a program at ingress needs Linux 6.6, a writable BPF file system ` +
	`(mount -t bpf bpf /sys/fs/bpf), CAP_BPF and CAP_NET_ADMIN, and on a bridge net.bridge.bridge-nf-call-iptables=0 and net.bridge.bridge-nf-call-ip6tables=0`

// firstSentence returns the error of the kernel in one line: the verifier's has many.
func firstSentence(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
