package doctor

import "fmt"

// Option is what the kernel must be built with, and for what. One for proofs is not needed for the reply path.
type Option struct {
	Name, For string
	Proof     bool
}

// Options are all that are needed.
var Options = [...]Option{
	{"CONFIG_IP_MULTIPLE_TABLES", "ip rules", false},
	{"CONFIG_IPV6_MULTIPLE_TABLES", "ip -6 rules", false},
	{"CONFIG_NF_CONNTRACK", "connection tracking", false},
	{"CONFIG_NF_CONNTRACK_MARK", "marks of connections", false},
	{"CONFIG_NETFILTER_XT_CONNMARK", "the target CONNMARK and the match connmark", false},
	{"CONFIG_NETFILTER_XT_MARK", "the match mark", false},
	{"CONFIG_NETFILTER_XT_MATCH_CONNTRACK", "the match conntrack", false},
	{"CONFIG_NETFILTER_XT_MATCH_DEVGROUP", "the match devgroup", false},
	{"CONFIG_BPF_SYSCALL", "questions that show the reply path", true},
	{"CONFIG_NF_TABLES", "seeing where their answers would leave", true},
}

// missing tells what the kernel and iptables do not have.
func (s Seen) missing() (all []Finding) {
	for _, t := range s.Tools {
		all = append(all, Finding{ID: "iptables-missing", Severity: Error, Evidence: []string{t.Why},
			What:   "the firewall cannot be loaded: " + t.What,
			Remedy: "install the package iptables, and the kernel's extra modules where a match or target is missing"})
	}
	lacks := map[string]bool{}
	for _, name := range s.Kernel {
		lacks[name] = true
	}
	for _, o := range Options {
		if !lacks[o.Name] {
			continue
		}
		f := Finding{ID: "kernel-option", Severity: Error, Evidence: []string{o.Name + " is not set"},
			What: fmt.Sprintf("the kernel was built without %s", o.For), Remedy: "use a kernel that has it"}
		if o.Proof {
			f.Severity = Note
		}
		all = append(all, f)
	}
	return all
}

// proofs tells that nothing can be shown.
func (s Seen) proofs() []Finding {
	if s.Unproven == "" {
		return nil
	}
	return []Finding{{ID: "proof-unavailable", Severity: Note, Evidence: []string{s.Unproven},
		What:   "the reply path cannot be shown by questions of replypath's own",
		Remedy: "use Linux 5.18 or later with BPF and nftables; what is asked of the kernel and seen of live traffic still stands"}}
}
