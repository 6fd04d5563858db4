package doctor

import "fmt"

// KernelOption is what the kernel must be built with, and for what. One for proofs is not needed for the reply path.
type KernelOption struct {
	Name, Purpose string
	ProofOnly     bool
}

// KernelOptions are all that are needed.
var KernelOptions = [...]KernelOption{
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

// checkPrerequisites tells what the kernel and iptables do not have.
func (s Snapshot) checkPrerequisites() (all []Finding) {
	for _, t := range s.MissingTools {
		all = append(all, Finding{ID: "iptables-missing", Severity: Error, Evidence: []string{t.Reason},
			Message: "the firewall cannot be loaded: " + t.Subject,
			Remedy:  "install the package iptables, and the kernel's extra modules where a match or target is missing"})
	}
	lacks := map[string]bool{}
	for _, name := range s.MissingOptions {
		lacks[name] = true
	}
	for _, o := range KernelOptions {
		if !lacks[o.Name] {
			continue
		}
		f := Finding{ID: "kernel-option", Severity: Error, Evidence: []string{o.Name + " is not set"},
			Message: fmt.Sprintf("the kernel was built without %s", o.Purpose), Remedy: "use a kernel that has it"}
		if o.ProofOnly {
			f.Severity = Note
		}
		all = append(all, f)
	}
	return all
}

// checkProofSupport tells that nothing can be shown.
func (s Snapshot) checkProofSupport() []Finding {
	if s.ProofError == "" {
		return nil
	}
	return []Finding{{ID: "proof-unavailable", Severity: Note, Evidence: []string{s.ProofError},
		Message: "the reply path cannot be shown by questions of replypath's own",
		Remedy:  "use Linux 5.18 or later with BPF and nftables; what is asked of the kernel and seen of live traffic still stands"}}
}
