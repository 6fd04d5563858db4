package nftables

import (
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// ownTable is the table of both families.
const ownTable = nftnl.Table(marks.NFTTable)

// maxAttempts bounds how often a reading or a change is repeated because nftables changed meanwhile.
const maxAttempts = 20

// table is the table with the snapshot of its last reading.
type table struct {
	last  *snapshot
	owner *nftnl.Socket // that owns the table; nil: any program can change it
	// socket is a lasting one, of the service: after a transaction that deletes, also of another program, the end of any
	// socket keeps nftables locked until no packet uses what was deleted (nft_rcv_nl_event, nf_tables_api.c).
	socket *nftnl.Socket
	lost   []nftnl.Request // makes the table when another program has deleted it
}

// withSocket calls do with the lasting socket, or with one for this call.
func (t *table) withSocket(do func(*nftnl.Socket) error) error {
	if t.socket != nil {
		return do(t.socket)
	}
	s, err := nftnl.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}

// snapshot is the content of the table at one generation of nftables.
type snapshot struct {
	generation uint64
	exists     bool
	flags      uint32
	chains     map[string]*chainState
	sets       map[string]*setState
	rulesets   map[bool]marks.Ruleset // decoded, by family
}

// chainState is a chain. base is what a base chain has besides its rules.
type chainState struct {
	base  baseState
	rules [][]byte // the attributes of the expressions
}

// baseState is the hook of a base chain; the zero baseState belongs to a chain that rules jump to.
type baseState struct {
	kind     string
	hook     uint32
	priority int32
	accepts  bool
}

// setState is a set or map.
type setState struct {
	verdicts  bool // it is a map to verdicts and nothing else
	keyLength uint32
	elements  [][]byte
}

// read returns the content of the table.
func (t *table) read() (s *snapshot, err error) {
	err = t.withSocket(func(socket *nftnl.Socket) (err error) {
		s, err = t.readBy(socket)
		return err
	})
	return s, classify(err)
}

func (t *table) readBy(socket *nftnl.Socket) (*snapshot, error) {
	for range maxAttempts {
		generation, err := socket.Generation()
		if errors.Is(err, unix.EINVAL) { // no kernel module answers
			err = unix.EOPNOTSUPP
		}
		if err != nil {
			return nil, err
		}
		if t.last != nil && t.last.generation == generation {
			return t.last, nil
		}
		s, err := readSnapshot(socket, generation)
		if err != nil {
			return nil, err
		}
		if after, err := socket.Generation(); err == nil && after == generation {
			t.last = s
			return s, nil
		}
	}
	return nil, fmt.Errorf("read the table inet %s: it changes continuously", marks.NFTTable)
}

func readSnapshot(socket *nftnl.Socket, generation uint64) (*snapshot, error) {
	s := &snapshot{generation: generation, chains: map[string]*chainState{}, sets: map[string]*setState{}, rulesets: map[bool]marks.Ruleset{}}
	err := socket.Get(ownTable.Query(), func(a []byte) { s.exists, s.flags = true, netfilter.FindUint32(a, unix.NFTA_TABLE_FLAGS) })
	if errors.Is(err, unix.ENOENT) {
		return s, nil
	}
	for _, list := range []struct {
		kind uint16
		add  func(attributes []byte)
	}{{unix.NFT_MSG_GETCHAIN, s.addChain}, {unix.NFT_MSG_GETRULE, s.addRule}, {unix.NFT_MSG_GETSET, s.addSet}} {
		if err == nil {
			err = socket.Dump(ownTable.List(list.kind), list.add)
		}
	}
	for name, set := range s.sets {
		if err == nil {
			err = socket.Dump(ownTable.ListElements(name), set.addElements)
		}
	}
	if errors.Is(err, unix.ENOENT) { // deleted meanwhile: the next attempt tells
		err = nil
	}
	return s, err
}

// addChain adds a chain by its attributes.
func (s *snapshot) addChain(a []byte) {
	if !netfilter.HasString(a, unix.NFTA_CHAIN_TABLE, marks.NFTTable) {
		return
	}
	c := &chainState{}
	if hook := nlattr.Find(a, unix.NFTA_CHAIN_HOOK); hook != nil {
		c.base = baseState{kind: netfilter.FindString(a, unix.NFTA_CHAIN_TYPE), hook: netfilter.FindUint32(hook, unix.NFTA_HOOK_HOOKNUM),
			priority: int32(netfilter.FindUint32(hook, unix.NFTA_HOOK_PRIORITY)), accepts: netfilter.FindUint32(a, unix.NFTA_CHAIN_POLICY) == nfAccept}
	}
	s.chains[netfilter.FindString(a, unix.NFTA_CHAIN_NAME)] = c
}

// NF_DROP and NF_ACCEPT (linux/netfilter.h).
const (
	nfDrop   = 0
	nfAccept = 1
)

// addRule adds a rule by its attributes.
func (s *snapshot) addRule(a []byte) {
	c := s.chains[netfilter.FindString(a, unix.NFTA_RULE_CHAIN)]
	if !netfilter.HasString(a, unix.NFTA_RULE_TABLE, marks.NFTTable) || c == nil {
		return
	}
	c.rules = append(c.rules, slices.Clone([]byte(nlattr.Find(a, unix.NFTA_RULE_EXPRESSIONS))))
}

// The flags of a map to verdicts alone: its elements may not have a timeout, a range or an expression.
const mapFlags = unix.NFT_SET_MAP

// addSet adds a set by its attributes.
func (s *snapshot) addSet(a []byte) {
	if !netfilter.HasString(a, unix.NFTA_SET_TABLE, marks.NFTTable) {
		return
	}
	s.sets[netfilter.FindString(a, unix.NFTA_SET_NAME)] = &setState{
		verdicts:  netfilter.FindUint32(a, unix.NFTA_SET_FLAGS) == mapFlags && netfilter.FindUint32(a, unix.NFTA_SET_DATA_TYPE) == verdictType,
		keyLength: netfilter.FindUint32(a, unix.NFTA_SET_KEY_LEN),
	}
}

// verdictType is NFT_DATA_VERDICT.
const verdictType = 0xffffff00

// addElements adds the elements in one message.
func (s *setState) addElements(a []byte) {
	for _, e := range nlattr.All(nlattr.Find(a, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		s.elements = append(s.elements, slices.Clone([]byte(e)))
	}
}
