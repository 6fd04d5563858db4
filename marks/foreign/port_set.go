package foreign

import (
	"encoding/binary"
	"strings"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// PortSet is a set or map of nftables whose keys have a port.
type PortSet struct {
	Set    string
	Proto  string // of the port; empty: any
	Offset int    // of the port in a key, in bytes
}

// maxSetPorts bounds the ports of one rule's sets that are known.
const maxSetPorts = 8

// addPortSet records that the rule looks up a port, the field at a number of 32-bit words in the key, unless it wants those that are
// not in the set.
func (d *ruleDecoder) addPortSet(data []byte, f fieldType, words int) {
	proto, _, isPort := strings.Cut(f.name, " dport")
	if !isPort {
		proto, _, isPort = strings.Cut(f.name, " sport")
	}
	if !isPort || netfilter.FindUint32(data, unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0 {
		return
	}
	d.rule.PortSets = append(d.rule.PortSets, PortSet{Set: netfilter.FindString(data, unix.NFTA_LOOKUP_SET), Proto: strings.TrimPrefix(proto, "th"), Offset: 4 * words})
}

// ports returns the ports of the set's elements; of an interval the first one.
func (s PortSet) ports(elements [][]byte) (all []Port) {
	for _, attributes := range elements {
		key := nlattr.Find(nlattr.Find(attributes, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)
		end := netfilter.FindUint32(attributes, unix.NFTA_SET_ELEM_FLAGS)&unix.NFT_SET_ELEM_INTERVAL_END != 0
		if end || len(key) < s.Offset+2 {
			continue
		}
		if port := binary.BigEndian.Uint16(key[s.Offset:]); port != 0 {
			all = append(all, Port{s.Proto, port})
		}
	}
	return all
}

// readPortSets reads the ports that the rule compares by sets, if they matter.
func (r *Rule) readPortSets(family uint8, table string, sets []PortSet) error {
	if !r.ChangesReplies() {
		return nil
	}
	n := 0
	for _, s := range sets {
		elements, err := netfilter.SetElements(family, table, s.Set)
		if err != nil {
			return err
		}
		n += copy(r.SetPorts[n:], s.ports(elements))
	}
	return nil
}
