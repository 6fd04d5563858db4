package doctor

import (
	"fmt"

	"replypath/marks"
	"replypath/uplinks"
)

// KernelOption is a required kernel configuration option and its purpose.
type KernelOption struct {
	Name, Purpose string
	user          optionUser
}

// optionUser is what needs a kernel option.
type optionUser uint8

const (
	forAll optionUser = iota
	forIptables
	forNftables
	forProofs
	// The same, where interception is configured, and where it gives packets to proxies.
	forInterceptionByIptables
	forInterceptionByNftables
	forProxiesByIptables
	forProxiesByNftables
)

// isIn reports whether the host of the snapshot has the user.
func (u optionUser) isIn(s Snapshot) bool {
	interception, native := s.Settings.Interception, s.usesNftables()
	proxies := interception != nil && len(interception.Intercepts) > 0
	switch u {
	case forIptables:
		return !native
	case forNftables:
		return native
	case forInterceptionByIptables:
		return !native && interception != nil
	case forInterceptionByNftables:
		return native && interception != nil
	case forProxiesByIptables:
		return !native && proxies
	case forProxiesByNftables:
		return native && proxies
	}
	return true
}

// KernelOptions lists all options that a purpose requires.
var KernelOptions = [...]KernelOption{
	{"CONFIG_IP_MULTIPLE_TABLES", "ip rules", forAll},
	{"CONFIG_IPV6_MULTIPLE_TABLES", "ip -6 rules", forAll},
	{"CONFIG_NF_CONNTRACK", "connection tracking", forAll},
	{"CONFIG_NF_CONNTRACK_MARK", "connection marks", forAll},
	{"CONFIG_NETFILTER_XT_CONNMARK", "the target CONNMARK and the match connmark", forIptables},
	{"CONFIG_NETFILTER_XT_MARK", "the match mark", forIptables},
	{"CONFIG_NETFILTER_XT_MATCH_CONNTRACK", "the match conntrack", forIptables},
	{"CONFIG_NETFILTER_XT_MATCH_DEVGROUP", "the match devgroup", forIptables},
	{"CONFIG_BPF_SYSCALL", "BPF, which injects the packets of proofs", forProofs},
	{"CONFIG_NF_TABLES_INET", "nftables, with tables for both address families", forNftables},
	{"CONFIG_NFT_CT", "matches of connections in nftables", forNftables},
	{"CONFIG_NF_TABLES", "nftables, which captures the replies of proofs", forProofs},
	{"CONFIG_NETFILTER_XT_MATCH_ADDRTYPE", "the match addrtype, by which interception finds connections of proxies", forInterceptionByIptables},
	{"CONFIG_NETFILTER_XT_MATCH_MULTIPORT", "the match multiport of intercepted ports", forProxiesByIptables},
	{"CONFIG_NETFILTER_XT_TARGET_TPROXY", "the target TPROXY, which gives packets to transparent proxies", forProxiesByIptables},
	{"CONFIG_NFT_FIB_INET", "fib in nftables, by which interception finds connections of proxies", forInterceptionByNftables},
	{"CONFIG_NFT_TPROXY", "tproxy in nftables, which gives packets to transparent proxies", forProxiesByNftables},
}

// checkPrerequisites reports missing features of iptables and of the kernel.
func (s Snapshot) checkPrerequisites() (all []Finding) {
	remedy := "install the package iptables, and the kernel's extra modules if a match or target is missing"
	if s.usesNftables() {
		remedy = "load the modules nf_tables and nft_ct, or install the kernel's extra modules"
	}
	for _, t := range s.MissingTools {
		all = append(all, Finding{ID: "iptables-missing", Severity: Error, Evidence: []string{t.Reason},
			Message: "the firewall rules cannot be loaded: " + t.Subject, Remedy: remedy})
	}
	lacks := map[string]bool{}
	for _, name := range s.MissingOptions {
		lacks[name] = true
	}
	for _, o := range KernelOptions {
		if !lacks[o.Name] || !o.user.isIn(s) {
			continue
		}
		f := Finding{ID: "kernel-option", Severity: Error, Evidence: []string{o.Name + " is not set"},
			Message: fmt.Sprintf("the kernel was built without %s", o.Purpose), Remedy: "use a kernel with that option"}
		if o.user == forProofs {
			f.Severity = Note
		}
		all = append(all, f)
	}
	return all
}

// usesNftables reports whether replypath loads its rules by nftables, without iptables.
func (s Snapshot) usesNftables() bool {
	return s.Settings.Backend == marks.Nftables || s.Facts.Firewalls[uplinks.IPv4].Backend == marks.Nftables
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
