package rpdb

import (
	"fmt"

	"replypath/uplinks"
)

// Names has the names of tables and protocols on a host (rt_tables, rt_protos).
type Names struct {
	Tables    map[uplinks.Table]string
	Protocols map[uint8]string
	// Static is the program that uses the protocol "static" on this host; empty: unknown.
	Static string
}

// TableName returns the name of the table, or else its number.
func (n Names) TableName(t uplinks.Table) string {
	if name, ok := n.Tables[t]; ok {
		return name
	}
	switch t {
	case uplinks.LocalTable:
		return "local"
	case uplinks.MainTable:
		return "main"
	case uplinks.DefaultTable:
		return "default"
	}
	return fmt.Sprint(uint32(t))
}

// ProtocolName returns the name of the routing protocol of a rule or route, or else its number.
func (n Names) ProtocolName(p uint8) string {
	if name, ok := n.Protocols[p]; ok {
		return name
	}
	switch p {
	case kernel:
		return "kernel"
	case boot:
		return "boot"
	case static:
		return "static"
	case uplinks.Protocol:
		return "replypath"
	}
	return fmt.Sprint(p)
}

// The protocols that every kernel defines (rtnetlink(7), rtm_protocol).
const (
	unspec = 0 // the default of ip(8) for rules
	kernel = 2
	boot   = 3 // the default of ip(8) for routes
	static = 4
)
