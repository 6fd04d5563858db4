package rpdb

import "replypath/uplinks"

// FromRule returns the rule of package uplinks, with the protocol that the kernel reports for it, as a rule of this package.
// Selectors that package uplinks does not decode are left out.
func FromRule(r uplinks.Rule, protocol uint8) Rule {
	return Rule{Family: r.Family, Priority: r.Priority, Protocol: protocol, Not: r.Not, From: r.From, In: r.IIF, Mark: uint32(r.Mark), Mask: uint32(r.Mask),
		Action: r.Action, Table: r.Table, Goto: r.Goto, SuppressLength: r.SuppressLength, SuppressGroup: r.SuppressGroup}
}
