package rpdb

import (
	"fmt"

	"replypath/uplinks"
)

// Names are what tables and protocols are called on a host (rt_tables, rt_protos).
type Names struct {
	Tables    map[uplinks.Table]string
	Protocols map[uint8]string
	// Static is the program that writes with the protocol "static" on this host; empty: it is not known.
	Static string
}

// TableName is the table's name, or else its number.
func (n Names) TableName(t uplinks.Table) string {
	if name, ok := n.Tables[t]; ok {
		return name
	}
	switch t {
	case uplinks.LocalTable:
		return "local"
	case uplinks.MainTable:
		return "main"
	case 253:
		return "default"
	}
	return fmt.Sprint(uint32(t))
}

// ProtocolName is the name of who says to have added a rule or a route, or else the number.
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

// The protocols that every kernel knows (rtnetlink(7)).
const (
	unspec = 0 // what ip(8) gives rules unless it is told otherwise
	kernel = 2
	boot   = 3 // what ip(8) gives routes unless it is told otherwise
	static = 4
)
