package doctor

import "fmt"

// KernelOption is a required kernel configuration option and its purpose. One with ProofOnly is only needed for proofs.
type KernelOption struct {
	Name, Purpose string
	ProofOnly     bool
}

// KernelOptions lists all required options.
var KernelOptions = [...]KernelOption{
	{"CONFIG_IP_MULTIPLE_TABLES", "ip rules", false},
	{"CONFIG_IPV6_MULTIPLE_TABLES", "ip -6 rules", false},
	{"CONFIG_NF_CONNTRACK", "connection tracking", false},
	{"CONFIG_NF_CONNTRACK_MARK", "connection marks", false},
	{"CONFIG_NETFILTER_XT_CONNMARK", "the target CONNMARK and the match connmark", false},
	{"CONFIG_NETFILTER_XT_MARK", "the match mark", false},
	{"CONFIG_NETFILTER_XT_MATCH_CONNTRACK", "the match conntrack", false},
	{"CONFIG_NETFILTER_XT_MATCH_DEVGROUP", "the match devgroup", false},
	{"CONFIG_BPF_SYSCALL", "BPF, which injects the packets of proofs", true},
	{"CONFIG_NF_TABLES", "nftables, which captures the replies of proofs", true},
}

// checkPrerequisites reports missing features of iptables and of the kernel.
func (s Snapshot) checkPrerequisites() (all []Finding) {
	for _, t := range s.MissingTools {
		all = append(all, Finding{ID: "iptables-missing", Severity: Error, Evidence: []string{t.Reason},
			Message: "the firewall rules cannot be loaded: " + t.Subject,
			Remedy:  "install the package iptables, and the kernel's extra modules if a match or target is missing"})
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
			Message: fmt.Sprintf("the kernel was built without %s", o.Purpose), Remedy: "use a kernel with that option"}
		if o.ProofOnly {
			f.Severity = Note
		}
		all = append(all, f)
	}
	return all
}

// checkProofSupport reports that test packets cannot be injected.
func (s Snapshot) checkProofSupport() []Finding {
	if s.ProofError == "" {
		return nil
	}
	return []Finding{{ID: "proof-unavailable", Severity: Note, Evidence: []string{s.ProofError},
		Message: "the reply path cannot be proven with test packets",
		Remedy:  "use Linux 5.18 or later with BPF and nftables; until then only route look-ups and counters of real replies are checked"}}
}
