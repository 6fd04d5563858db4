package nftnl

import (
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// TypeProtocol is the data type of transport protocols (include/datatype.h, TYPE_INET_PROTOCOL).
const TypeProtocol = 12

// Attributes of a flow table, its hook, and the expression that adds to it (linux/netfilter/nf_tables.h), which x/sys does not
// define.
const (
	FlowTableTable      = 1 // NFTA_FLOWTABLE_TABLE
	FlowTableName       = 2 // NFTA_FLOWTABLE_NAME
	FlowTableHook       = 3 // NFTA_FLOWTABLE_HOOK
	FlowTableFlags      = 7 // NFTA_FLOWTABLE_FLAGS
	FlowTableHookNumber = 1 // NFTA_FLOWTABLE_HOOK_NUM
	FlowTablePriority   = 2 // NFTA_FLOWTABLE_HOOK_PRIORITY
	FlowTableDevices    = 3 // NFTA_FLOWTABLE_HOOK_DEVS
	deviceName          = 1 // NFTA_DEVICE_NAME
	netdevIngress       = 0 // NF_NETDEV_INGRESS
	flowTableName       = 1 // NFTA_FLOW_TABLE_NAME
	FlowTableCounts     = 2 // NFT_FLOWTABLE_COUNTER: connection tracking counts the packets, if it counts any
)

// CreateFlowTable makes a flow table at the ingress of links.
func (t Table) CreateFlowTable(name string, links []string) Request {
	var devices [][]byte
	for _, l := range links {
		devices = append(devices, netfilter.StringAttribute(deviceName, l))
	}
	hook := Nested(FlowTableHook, Uint32Attribute(FlowTableHookNumber, netdevIngress), Uint32Attribute(FlowTablePriority, 0), Nested(FlowTableDevices, devices...))
	return Request{Operation: "create the flow table " + name, kind: unix.NFT_MSG_NEWFLOWTABLE, flags: unix.NLM_F_CREATE,
		body: slices.Concat(t.inTable(FlowTableName, name), hook, Uint32Attribute(FlowTableFlags, FlowTableCounts))}
}

// AddFlow puts the packet's connection into a flow table.
func AddFlow(table string) []byte {
	return expression("flow_offload", netfilter.StringAttribute(flowTableName, table))
}

// Attributes of a quota (linux/netfilter/nf_tables.h).
const (
	QuotaBytes    = 1 // NFTA_QUOTA_BYTES
	QuotaFlags    = 2 // NFTA_QUOTA_FLAGS
	QuotaConsumed = 4 // NFTA_QUOTA_CONSUMED
	quotaOver     = 1 // NFT_QUOTA_F_INV
)

// CreateQuota makes a quota of that many bytes. The kernel announces the packet that exceeds it.
func (t Table) CreateQuota(name string, bytes uint64) Request {
	data := Nested(unix.NFTA_OBJ_DATA, netfilter.Uint64Attribute(QuotaBytes, bytes), Uint32Attribute(QuotaFlags, quotaOver))
	return Request{Operation: "create the quota " + name, kind: unix.NFT_MSG_NEWOBJ, flags: unix.NLM_F_CREATE,
		body: slices.Concat(t.inTable(unix.NFTA_OBJ_NAME, name), Uint32Attribute(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_QUOTA), data)}
}

// CountToQuota counts the packet in a quota of the table.
func CountToQuota(name string) []byte {
	return expression("objref", Uint32Attribute(unix.NFTA_OBJREF_IMM_TYPE, unix.NFT_OBJECT_QUOTA), netfilter.StringAttribute(unix.NFTA_OBJREF_IMM_NAME, name))
}
