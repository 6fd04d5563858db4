package uplinks

import (
	"math"
	"net/netip"
	"strings"

	"replypath/marks"
)

// This file is the one table of the numbers and names that replypath takes in the kernel. Each purpose has a block of
// its own: rule priorities, routing tables, chains, bits of marks. TestBlocksAreDisjoint keeps the blocks apart.

// Protocol marks every rule and route of replypath's (rtnetlink(7), rtm_protocol; FRA_PROTOCOL), so that they are
// recognised without a state file. etc/rt_protos.d names it.
const Protocol = 82

// Tables of the kernel's own (rtnetlink(7), RT_TABLE_*). The kernel's first rule, at priority 0, looks up local, which holds
// the host's addresses; its last two look up main and default (ip-rule(8)).
const (
	DefaultTable Table = 253
	MainTable    Table = 254
	LocalTable   Table = 255

	MainPriority Priority = 32766
)

// The addresses that stand for found routers as next hops, one for each id: they are sent to nobody. 240.0.0.0/4 is reserved
// (RFC 1112); the interface identifier in IPv6 is locally administered, and of no hardware address (RFC 4291, appendix A).
var (
	foundRouters4 = netip.MustParsePrefix("240.0.82.0/24")
	foundRouters6 = netip.MustParsePrefix("fe80::5250:4c59:0:0/112")
)

// MaxFoundRouters is the number of routers that are found at the same time. Their ids are those of FoundRouterIDs, in the block
// of replies.
const MaxFoundRouters = 250

// MaxTable is the largest table number: it is signed in parts of the kernel.
const MaxTable Table = math.MaxInt32

// Defaults of the settings that shift the blocks.
const (
	DefaultPriority  Priority = 2000
	DefaultTableBase Table    = 8200
	DefaultGroup     Group    = 8200 // link group of every uplink
)

// Sizes of the blocks.
const (
	// BlockSize is the number of priorities from Settings.Priority on, for replies.
	BlockSize = 2000
	// maxUplinkTables is the number of tables behind Settings.TableBase, one for each id.
	maxUplinkTables = marks.MaxID
)

// Priorities of the reply rules, as offsets from Settings.Priority. An uplink's offsets follow from its id alone, so
// that a change of one uplink moves no rule of another.
const (
	offsetMain        Priority = 0    // main's specific routes, except those by an uplink, for what has a mark
	offsetMarks       Priority = 1    // look-up by mark; ids of the first bucket are at offsetMarks + id
	offsetBuckets     Priority = 100  // the mark trie: the other buckets, and the gotos to them
	offsetSources     Priority = 1000 // the host's own packets: an uplink's address is found at offsetSources + id
	offsetOther       Priority = 1399 // the host's other packets leave the block
	offsetSourceMain  Priority = 1400 // main's specific routes, except those by an uplink, for what an uplink's address sends
	offsetSourceTable Priority = 1400 // look-up by source address, at offsetSourceTable + id
	offsetEnd         Priority = 1999 // nop: target of the gotos past the block
)

// Metrics of the default routes in an uplink's table. The kernel reads an IPv6 metric of 0 as 1024. A route with
// LastMetric is used when no other default route is left.
const (
	metric4    uint32 = 0
	metric6    uint32 = 1024
	LastMetric uint32 = 1<<32 - 1
)

// The block of outbound connections. The places of uplinks follow from their ids, those of policies from their names.
const (
	outboundPriority   Priority = 30000 // behind the rules of VPN clients (Tailscale: 5210 to 5270), before main
	outboundPriorities          = 2000  // 30000 to 31999
	outboundTable      Table    = 256   // the first policy table, as an offset from Settings.TableBase
	outboundTables              = MaxPolicies
	// MaxPolicies is the number of policies for outbound connections, and of uplinks that are used as one.
	MaxPolicies = 45
	// MaxSteering is the number of priorities for rules of the configuration that choose a policy: one each.
	MaxSteering = 600
)

// Priorities of the rules for outbound connections, as offsets from outboundPriority.
const (
	outboundBuckets  Priority = 0    // senders that are assigned to an uplink pass the next rule
	outboundMarked   Priority = 1    // whatever has the mark of an uplink leaves the block
	outboundMain     Priority = 2    // main's specific routes
	outboundPrefixes Priority = 3    // sources that are an uplink's own
	outboundDevices  Priority = 4    // what the host itself binds to a device is found at outboundDevices + id
	outboundSteering Priority = 300  // nop: target of the goto past the devices; rule k is at outboundSteering + k
	outboundDefault  Priority = 999  // the default policy
	outboundPolicies Priority = 1000 // policy n is at outboundPolicies + n*outboundStride
	outboundEnd      Priority = 1999 // nop: target of the gotos past the block

	outboundStride Priority = 22 // of a policy: a nop, the buckets of its senders, its table, a goto to the end
	policyBuckets  Priority = 1
	policyLookup   Priority = policyBuckets + SenderBuckets
	policyEnd      Priority = policyLookup + 1
)

// SenderBuckets is the number of groups into which the senders of a policy with sticky clients are divided, by a hash of
// their address. Each takes the mark of an id: the last ones of the mask.
const SenderBuckets = 16

// Numbers that are reserved for purposes to come. No code writes them yet, and no other purpose may take them.
const ()

// Numbers of interception.
const (
	InterceptPriorities       = 3    // directly before Settings.Priority
	interceptTable      Table = 0    // offset from Settings.TableBase: no uplink has the id 0
	interceptBit              = 0x10 // default; of packets and connections
)

// Block lists what one purpose may use. Ranges include both ends. A chain that ends in * stands for all that begin so.
type Block struct {
	Purpose                     string
	FirstPriority, LastPriority Priority
	FirstTable, LastTable       Table
	Chains                      []string
	PacketBits, ConnBits        marks.Mask // bits of the fwmark and of the ctmark
}

// Blocks returns the block of every purpose for the settings, in the order in which Desired composes them.
func (s Settings) Blocks() []Block {
	return []Block{
		{
			Purpose:       "replies",
			FirstPriority: s.Priority, LastPriority: s.Priority + BlockSize - 1,
			FirstTable: s.TableBase + 1, LastTable: s.TableBase + maxUplinkTables,
			Chains: []string{marks.Pre, marks.New, marks.Inside, marks.Prefix + "N", marks.Prefix + "N-*", marks.Prefix + "M*", marks.Prefix + "B*", marks.Out, marks.Post, marks.Prefix + "S*", marks.Prefix + "R*",
				marks.InMap, marks.RestoreMap, marks.Prefix + "IN*", marks.Prefix + "RESTORE*"},
			PacketBits: s.Mask, ConnBits: s.Mask,
		},
		{
			Purpose:       "outbound",
			FirstPriority: outboundPriority, LastPriority: outboundPriority + outboundPriorities - 1,
			FirstTable: s.TableBase + outboundTable, LastTable: s.TableBase + outboundTable + outboundTables - 1,
			Chains:   []string{marks.Pin, marks.Pin + "*", marks.Prefix + "P-*", marks.Client, marks.Masq, marks.Masq + "*"},
			ConnBits: s.OutboundFlag(),
		},
		{
			Purpose:       "interception",
			FirstPriority: s.Priority - InterceptPriorities, LastPriority: s.Priority - 1,
			FirstTable: s.TableBase + interceptTable, LastTable: s.TableBase + interceptTable,
			Chains:     []string{marks.Proxied, marks.ToProxy, marks.FromProxy, marks.Proxied + "-*"},
			PacketBits: s.interceptBit(), ConnBits: s.interceptBit(),
		},
	}
}

// interceptBit returns the bit of interception, the default one if there is none.
func (s Settings) interceptBit() marks.Mask {
	if s.Interception == nil {
		return DefaultInterceptBit
	}
	return s.Interception.Bit
}

// OwnsChain reports whether the block's purpose may make a chain of that name.
func (b Block) OwnsChain(name string) bool {
	for _, c := range b.Chains {
		prefix, pattern := strings.CutSuffix(c, "*")
		if name == c || pattern && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// reservedTableNames are the kernel's own tables in ip-route(8): main, local and default, and unspec for "any table".
var reservedTableNames = [...]string{"main", "local", "default", "unspec"}

// ReservedTableNames returns the table names that no uplink can have: ip(8) shows an uplink's table under its name.
func ReservedTableNames() []string { return reservedTableNames[:] }
