package proof_test

import (
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// databaseRule returns a rule of replypath as the kernel reports it.
func databaseRule(r uplinks.Rule, protocol uint8) rpdb.Rule {
	return rpdb.Rule{Family: r.Family, Priority: r.Priority, Protocol: protocol, Not: r.Not, From: r.From, In: r.IIF, Mark: uint32(r.Mark), Mask: uint32(r.Mask),
		Action: r.Action, Table: r.Table, Goto: r.Goto, SuppressLength: r.SuppressLength, SuppressGroup: r.SuppressGroup}
}
