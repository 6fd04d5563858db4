package marks

import (
	"fmt"
	"strings"
)

// Restore formats the change as input for iptables-restore --noflush, which applies it atomically in each table. A chain declaration
// creates the chain, or flushes an existing one: a chain that lacks one rule has none.
func (c Change) Restore() string {
	var b strings.Builder
	b.Grow(c.restoreSize())
	parts := c.ByTable()
	for _, table := range c.tableOrder() {
		part, has := parts[table]
		if !has && table != MangleTable {
			continue
		}
		b.WriteString("*" + table + "\n")
		for _, chain := range part.Chains {
			if chain.Added == 0 {
				b.WriteString(":" + chain.Name + " - [0:0]\n")
			}
		}
		part.eachRuleCommand(func(command string) {
			b.WriteString(command)
			b.WriteByte('\n')
		})
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// restoreSize estimates the number of bytes of Restore: a rule takes about 100, its chain's name included.
func (c Change) restoreSize() int {
	size := 64
	for _, chain := range c.Chains {
		size += 32 + 100*len(chain.Rules)
	}
	return size
}

// Commands formats the change as arguments of the iptables command, one command per element, in the order of Restore:
// -N CHAIN, -A CHAIN RULE, ...
func (c Change) Commands() (commands []string) {
	for _, chain := range c.Chains {
		if chain.Added > 0 {
			continue
		}
		option := "-F "
		if chain.Create {
			option = "-N "
		}
		commands = append(commands, option+chain.Name)
	}
	c.eachRuleCommand(func(command string) { commands = append(commands, command) })
	return commands
}

// eachRuleCommand calls visit with each command after the creation and flushing of chains.
func (c Change) eachRuleCommand(visit func(command string)) {
	for _, chain := range c.Chains {
		if chain.Added > 0 {
			visit(fmt.Sprintf("-I %s %d %s", chain.Name, chain.Added, chain.Rules[chain.Added-1]))
			continue
		}
		for _, r := range chain.Rules {
			visit(strings.TrimSuffix("-A "+chain.Name+" "+r.String(), " "))
		}
	}
	for _, h := range c.Hooks {
		for range h.Remove {
			visit("-D " + h.Hook.Builtin + " " + h.Hook.Rule.String())
		}
		switch {
		case h.Insert && h.Hook.last():
			visit("-A " + h.Hook.Builtin + " " + h.Hook.Rule.String())
		case h.Insert:
			visit("-I " + h.Hook.Builtin + " 1 " + h.Hook.Rule.String())
		}
	}
	for _, name := range c.Delete {
		visit("-X " + name)
	}
}
