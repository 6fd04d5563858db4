package capture

import (
	"encoding/binary"
	"net/netip"

	"replypath/marks/nftnl"
	"replypath/marks/nlattr"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// set is a set of the table. Its key is a concatenation of fields, each padded to whole words of 32 bits.
type set struct {
	name    string
	id      uint32
	keyType uint32   // the data type by which nft(8) prints it
	fields  []uint32 // in words
	dynamic bool     // filled by packets
	isMap   bool     // its elements have a mark each
}

func (s set) words() (n uint32) {
	for _, f := range s.fields {
		n += f
	}
	return n
}

// captureFamily is the layout of a family's packets, and its sets.
type captureFamily struct {
	proto          byte // NFPROTO_*
	icmp           byte
	unreachable    byte // the ICMP type destination unreachable
	echoRequest    byte
	echoReply      byte
	headerLen      uint32    // of the IP header, without options
	protocolOffset uint32    // of the protocol in the IP header
	ttlOffset      uint32    // of the TTL or hop limit
	from, to       byteRange // the addresses in the IP header
	words          uint32    // of an address
	nextHop        uint32    // NFT_RT_NEXTHOP*
	peers          set       // the peers
	hooks, egress  set       // the observations
	marks          set       // the marks of connections, while they are cleared
	nextHops       set       // the neighbours that packets are sent to at once
	wirePeers      set       // the peers, for the table of the family netdev
	wire           set       // the observations there
	etherType      [2]byte
}

func newCaptureFamily(f uplinks.Family) captureFamily {
	c := captureFamily{proto: unix.NFPROTO_IPV4, etherType: [2]byte{0x08, 0x00}, icmp: unix.IPPROTO_ICMP, unreachable: 3, echoRequest: 8, echoReply: 0,
		headerLen: 20, protocolOffset: 9, ttlOffset: 8, from: byteRange{12, 4}, to: byteRange{16, 4}, words: 1, nextHop: unix.NFT_RT_NEXTHOP4}
	name, addressType := "4", uint32(nftnl.TypeAddress4)
	if f == uplinks.IPv6 {
		c = captureFamily{proto: unix.NFPROTO_IPV6, etherType: [2]byte{0x86, 0xdd}, icmp: unix.IPPROTO_ICMPV6, unreachable: 1, echoRequest: 128, echoReply: 129,
			headerLen: 40, protocolOffset: 6, ttlOffset: 7, from: byteRange{8, 16}, to: byteRange{24, 16}, words: 4, nextHop: unix.NFT_RT_NEXTHOP6}
		name, addressType = "6", nftnl.TypeAddress6
	}
	id := 10 * uint32(f)
	c.peers = set{name: "peers" + name, id: id, keyType: addressType, fields: []uint32{c.words}}
	// hook and protocol, source, destination, ports, mark, mark of the connection, link, state, zone or status
	c.hooks = set{name: "hooks" + name, id: id + 1, keyType: nftnl.TypeInteger, fields: []uint32{1, c.words, c.words, 1, 1, 1, 1, 1, 1}, dynamic: true}
	// protocol, source, destination, ports, link, state, next hop
	c.egress = set{name: "egress" + name, id: id + 2, keyType: nftnl.TypeInteger, fields: []uint32{1, c.words, c.words, 1, 1, 1, c.words}, dynamic: true}
	// protocol, destination, ports
	c.marks = set{name: "marks" + name, id: id + 3, keyType: nftnl.TypeInteger, fields: []uint32{1, c.words, 1}, dynamic: true, isMap: true}
	// link, address
	c.nextHops = set{name: "nexthops" + name, id: id + 4, keyType: nftnl.TypeInteger, fields: []uint32{1, c.words}}
	c.wirePeers = c.peers
	c.wirePeers.id = id + 5
	// protocol, source, destination, ports, link, mark, hardware address, TTL
	c.wire = set{name: "wire" + name, id: id + 6, keyType: nftnl.TypeInteger, fields: []uint32{1, c.words, c.words, 1, 1, 1, 2, 1}, dynamic: true}
	return c
}

var families = [...]captureFamily{newCaptureFamily(uplinks.IPv4), newCaptureFamily(uplinks.IPv6)}

// uplinkLinks is the set of the uplinks' interfaces.
var uplinkLinks = set{name: "uplinks", id: 1, keyType: nftnl.TypeIfindex, fields: []uint32{1}}

// directLinks is the set of the interfaces that resolve no neighbours.
var directLinks = set{name: "direct", id: 2, keyType: nftnl.TypeIfindex, fields: []uint32{1}}

// nft returns the set in the terms of nftables.
func (s set) nft() nftnl.Set {
	return nftnl.Set{Name: s.name, ID: s.id, KeyType: s.keyType, KeyLength: 4 * s.words(), Dynamic: s.dynamic, Marks: s.isMap}
}

// create returns the request that makes the set. A dynamic set gets room for size elements: a dump of a set that is resized
// meanwhile is incomplete.
func (s set) create(size int) nftnl.Request {
	made := s.nft()
	if s.dynamic {
		made.Size = uint32(size)
	}
	return table.CreateSet(made)
}

// addElements returns the request that adds the keys to the set.
func (s set) addElements(keys [][]byte) nftnl.Request {
	var elements [][]byte
	for _, k := range keys {
		elements = append(elements, nftnl.Key(k))
	}
	return table.AddElements(s.nft(), elements...)
}

// keyReader reads the keys of the elements of a set. Not safe for concurrent use.
type keyReader struct {
	set    set
	length int
	fields [][]byte // of one key, valid during a call
}

func newKeyReader(s set) *keyReader {
	return &keyReader{set: s, length: 4 * int(s.words()), fields: make([][]byte, len(s.fields))}
}

// read calls each with the fields of each key in the attributes of one message of a dump. They are valid during the call.
func (r *keyReader) read(attributes []byte, each func(fields [][]byte)) {
	for _, element := range nlattr.All(nlattr.Find(attributes, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		key := nlattr.Find(nlattr.Find(element, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)
		if len(key) != r.length {
			continue
		}
		for i, f := range r.set.fields {
			r.fields[i], key = key[:4*f], key[4*f:]
		}
		each(r.fields)
	}
}

func toAddr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

func toUint32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
