package uplinkstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

// World is a host for Conformance, with commands of other programs.
type World interface {
	uplinks.Kernel
	// ApplyForeign runs the shell commands of an uplinks.Step, ForeignRule, ModifiedRule, PrependRoute or IptablesCommands as
	// another program would: no original is saved.
	ApplyForeign(t testing.TB, command fmt.Stringer)
	// DumpForeign prints all foreign rules, routes and mangle rules.
	DumpForeign(t testing.TB) string
}

// ForeignRule adds a rule with another protocol than replypath's.
type ForeignRule struct{ Rule uplinks.Rule }

// ModifiedRule adds a rule with replypath's protocol and a selector that replypath never writes.
type ModifiedRule struct {
	Rule  uplinks.Rule
	Extra string // for ip-rule(8)
}

// PrependRoute adds a route before all others with its key.
type PrependRoute uplinks.SetRoute

// String returns the ip-rule(8) command.
func (s ForeignRule) String() string {
	return strings.Replace(uplinks.AddRule(s).String(), fmt.Sprintf("protocol %d", uplinks.Protocol), fmt.Sprintf("protocol %d", foreignProtocol), 1)
}

// String returns the ip-rule(8) command.
func (s ModifiedRule) String() string { return uplinks.AddRule{Rule: s.Rule}.String() + " " + s.Extra }

// String returns the ip-route(8) command.
func (s PrependRoute) String() string {
	return strings.Replace(uplinks.SetRoute(s).String(), "route replace", "route prepend", 1)
}

// IptablesCommands runs iptables commands on the mangle table, as another program would. Each command lacks its first words:
// -A PREROUTING -j ACCEPT.
type IptablesCommands struct {
	Firewall uplinks.FirewallKey
	Commands []string
}

// NFTCommand is a command of nft(8), as another program would run it.
type NFTCommand string

// String returns the shell command.
func (c NFTCommand) String() string { return "nft '" + string(c) + "'" }

// Iptables returns a step of these IptablesCommands.
func Iptables(firewall uplinks.FirewallKey, commands ...string) IptablesCommands {
	return IptablesCommands{firewall, commands}
}

// String returns the iptables commands, one a line.
func (s IptablesCommands) String() string {
	var lines []string
	command := s.Firewall.Command
	if s.Firewall.Backend == marks.Nftables {
		command = map[uplinks.Family]string{uplinks.IPv4: "iptables", uplinks.IPv6: "ip6tables"}[s.Firewall.Family]
	}
	for _, c := range s.Commands {
		lines = append(lines, fmt.Sprintf("%s -w -t %s %s", command, marks.MangleTable, c))
	}
	return strings.Join(lines, "\n")
}

// ApplyForeign makes the Fake a World.
func (k *Fake) ApplyForeign(t testing.TB, command fmt.Stringer) {
	t.Helper()
	if err := k.RunForeign(command); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
}

// RunForeign runs a command of World.ApplyForeign and returns its error.
func (k *Fake) RunForeign(command fmt.Stringer) error {
	switch c := command.(type) {
	case ForeignRule:
		return k.addRule(c.Rule, foreignProtocol)
	case ModifiedRule:
		c.Rule.Other = c.Extra
		return k.addRule(c.Rule, uplinks.Protocol)
	case PrependRoute:
		c.Key.Nth = 0
		k.routes[c.Key] = slices.Insert(k.routes[c.Key], 0, c.Route)
		return nil
	case IptablesCommands:
		return k.runIptables(c.Firewall, c.Commands)
	case uplinks.Step:
		return k.applyStep(c)
	}
	return fmt.Errorf("the fake kernel has no %T", command)
}

// DumpForeign prints the foreign objects.
func (k *Fake) DumpForeign(testing.TB) string {
	var lines []string
	for _, r := range k.rules {
		if r.protocol != uplinks.Protocol {
			lines = append(lines, fmt.Sprintf("%s by %d", r.rule, r.protocol))
		}
	}
	for key, routes := range k.routes {
		for _, r := range routes {
			if r.Protocol != uplinks.Protocol {
				lines = append(lines, uplinks.SetRoute{Key: key, Route: r}.String())
			}
		}
	}
	for firewall, t := range k.tables {
		for _, line := range t.foreign() {
			lines = append(lines, firewall.Command+" "+line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Dump prints a state, one sorted line for each object.
func Dump(s uplinks.State) string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for r := range s.Rules {
		add("%s rule %s %q", r.Family, r, r.Other)
	}
	for k, r := range s.Routes {
		add("%s (%d) %s", uplinks.SetRoute{Key: k, Route: r}, k.Nth, r.Other)
	}
	for t, v := range s.Tunables {
		add("%s = %s", t, v)
	}
	for k, rules := range s.Chains {
		add("%s %s:", k.Firewall.Command, k.Name)
		if rules.Unreadable {
			add("%s %s: unreadable", k.Firewall.Command, k.Name)
		}
		for i, rule := range rules.Rules {
			add("%s %s: %d %s", k.Firewall.Command, k.Name, i+1, rule)
		}
	}
	for k, h := range s.Hooks {
		add("%s %s: %s, %d times, reached: %v", k.Firewall.Command, k.Hook.Builtin, k.Hook.Rule, h.Count, h.Reachable)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
