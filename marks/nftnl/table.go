package nftnl

import (
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// Request is one request to nftables.
type Request struct {
	Operation string // for error messages
	Family    uint8  // NFPROTO_* of the table; 0: inet
	kind      uint16 // NFT_MSG_*
	flags     uint16
	body      []byte // the attributes
}

// Attributes returns the attributes of the request.
func (r Request) Attributes() []byte { return r.body }

func (r Request) bytes(flags uint16, seq uint32) []byte {
	family := r.Family
	if family == 0 {
		family = unix.NFPROTO_INET
	}
	return netfilter.Message(r.kind, flags, seq, family, r.body)
}

// Table names a table, of the family inet unless Request.Family says otherwise. Its methods return requests.
type Table string

// Flags of a table (linux/netfilter/nf_tables.h). The table of a socket that owns it is deleted with the socket, unless it
// persists.
const (
	Dormant = 0x1
	Owner   = 0x2
	Persist = 0x4 // Linux 6.9
)

// Create makes the table, or sets the flags of an existing one.
func (t Table) Create(flags uint32) Request {
	return Request{Operation: "create the table " + string(t), kind: unix.NFT_MSG_NEWTABLE, flags: unix.NLM_F_CREATE, body: slices.Concat(
		netfilter.StringAttribute(unix.NFTA_TABLE_NAME, string(t)), Uint32Attribute(unix.NFTA_TABLE_FLAGS, flags))}
}

// CreateNew makes the table. It is refused when the table exists.
func (t Table) CreateNew(flags uint32) Request {
	r := t.Create(flags)
	r.flags |= unix.NLM_F_EXCL
	return r
}

// Delete deletes the table with all that it holds.
func (t Table) Delete() Request {
	return Request{Operation: "delete the table " + string(t), kind: unix.NFT_MSG_DELTABLE, body: netfilter.StringAttribute(unix.NFTA_TABLE_NAME, string(t))}
}

// Query returns the request for the table itself.
func (t Table) Query() Request {
	return Request{Operation: "read the table " + string(t), kind: unix.NFT_MSG_GETTABLE, body: netfilter.StringAttribute(unix.NFTA_TABLE_NAME, string(t))}
}

// List returns the request that lists the table's chains (NFT_MSG_GETCHAIN), rules (NFT_MSG_GETRULE), sets
// (NFT_MSG_GETSET) or objects (NFT_MSG_GETOBJ). The attribute with the table has the same number in all.
func (t Table) List(kind uint16) Request {
	return Request{Operation: "list the table " + string(t), kind: kind, body: netfilter.StringAttribute(unix.NFTA_CHAIN_TABLE, string(t))}
}

// inTable returns the attributes that name an object of the table. They have the same numbers for chains, sets and
// objects, except for the name of a chain.
func (t Table) inTable(nameKind uint16, name string) []byte {
	return slices.Concat(netfilter.StringAttribute(unix.NFTA_CHAIN_TABLE, string(t)), netfilter.StringAttribute(nameKind, name))
}

// CreateChain makes a chain that rules jump to.
func (t Table) CreateChain(name string) Request {
	return Request{Operation: "create the chain " + name, kind: unix.NFT_MSG_NEWCHAIN, flags: unix.NLM_F_CREATE, body: t.inTable(unix.NFTA_CHAIN_NAME, name)}
}

// CreateBaseChain makes a chain that packets traverse at a hook (NF_INET_*). kind is that of nft(8): filter, route.
func (t Table) CreateBaseChain(name, kind string, hook uint32, priority int32) Request {
	r := t.CreateChain(name)
	r.body = slices.Concat(r.body, Nested(unix.NFTA_CHAIN_HOOK, Uint32Attribute(unix.NFTA_HOOK_HOOKNUM, hook), Uint32Attribute(unix.NFTA_HOOK_PRIORITY, uint32(priority))),
		netfilter.StringAttribute(unix.NFTA_CHAIN_TYPE, kind))
	return r
}

// The hook at the egress of links (linux/netfilter.h, NF_NETDEV_EGRESS), and the attribute with the links of a chain
// (NFTA_HOOK_DEVS), which x/sys does not define.
const (
	netdevEgress = 1
	hookDevices  = 4
)

// CreateEgressChain makes a chain that packets traverse when they leave by one of the links. It is for the family netdev.
func (t Table) CreateEgressChain(name string, priority int32, links []string) Request {
	var list [][]byte
	for _, l := range links {
		list = append(list, netfilter.StringAttribute(1, l))
	}
	r := t.CreateChain(name)
	r.body = slices.Concat(r.body, Nested(unix.NFTA_CHAIN_HOOK, Uint32Attribute(unix.NFTA_HOOK_HOOKNUM, netdevEgress),
		Uint32Attribute(unix.NFTA_HOOK_PRIORITY, uint32(priority)), Nested(hookDevices, list...)), netfilter.StringAttribute(unix.NFTA_CHAIN_TYPE, "filter"))
	return r
}

// DeleteChain deletes a chain with its rules.
func (t Table) DeleteChain(name string) Request {
	return Request{Operation: "delete the chain " + name, kind: unix.NFT_MSG_DELCHAIN, body: t.inTable(unix.NFTA_CHAIN_NAME, name)}
}

// FlushChain deletes the rules of a chain.
func (t Table) FlushChain(name string) Request {
	return Request{Operation: "flush the chain " + name, kind: unix.NFT_MSG_DELRULE, body: t.inTable(unix.NFTA_RULE_CHAIN, name)}
}

// AddRule appends a rule to a chain.
func (t Table) AddRule(chain string, expressions ...[]byte) Request {
	return Request{Operation: "add a rule to " + chain, kind: unix.NFT_MSG_NEWRULE, flags: unix.NLM_F_CREATE | unix.NLM_F_APPEND,
		body: slices.Concat(t.inTable(unix.NFTA_RULE_CHAIN, chain), Nested(unix.NFTA_RULE_EXPRESSIONS, expressions...))}
}

// InsertRule makes a rule the first one of a chain.
func (t Table) InsertRule(chain string, expressions ...[]byte) Request {
	r := t.AddRule(chain, expressions...)
	r.flags &^= unix.NLM_F_APPEND
	return r
}

// CreateCounter makes a counter. An existing one keeps its counts.
func (t Table) CreateCounter(name string) Request {
	zero := Nested(unix.NFTA_OBJ_DATA, netfilter.Uint64Attribute(unix.NFTA_COUNTER_BYTES, 0), netfilter.Uint64Attribute(unix.NFTA_COUNTER_PACKETS, 0))
	return Request{Operation: "create the counter " + name, kind: unix.NFT_MSG_NEWOBJ, flags: unix.NLM_F_CREATE,
		body: slices.Concat(t.inTable(unix.NFTA_OBJ_NAME, name), Uint32Attribute(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER), zero)}
}

// DeleteCounter deletes a counter.
func (t Table) DeleteCounter(name string) Request {
	return Request{Operation: "delete the counter " + name, kind: unix.NFT_MSG_DELOBJ,
		body: slices.Concat(t.inTable(unix.NFTA_OBJ_NAME, name), Uint32Attribute(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER))}
}
