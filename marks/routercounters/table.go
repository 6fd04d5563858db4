package routercounters

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Set makes the table, in place of one that exists, in one transaction. All counters begin at 0.
func Set(c marks.RouterCounters) error {
	// A table that exists is no error for Create, one that does not is an error for Delete.
	return commit(slices.Concat([]nftnl.Request{table.Create(0), table.Delete()}, create(c)))
}

// Delete deletes the table, if it exists.
func Delete() error {
	err := commit([]nftnl.Request{table.Delete()})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func commit(requests []nftnl.Request) error {
	socket, err := nftnl.Open()
	if err != nil {
		return err
	}
	defer socket.Close()
	return classify(socket.Commit(requests))
}

// classify wraps an error of the kernel with the remedy.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("nftables: %w: run as root, or with the capability CAP_NET_ADMIN", err)
	}
	return fmt.Errorf("nftables: %w", err)
}

// Check returns why the kernel cannot make the table, which does not exist; nil if it can. It changes nothing.
func Check(c marks.RouterCounters) error {
	socket, err := nftnl.Open()
	if err != nil {
		return err
	}
	defer socket.Close()
	refused, err := socket.Try(create(c))
	if err == nil && len(refused) > 0 {
		err = refused[0]
	}
	return classify(err)
}

// content is what the table holds, as listed.
type content struct {
	hooks map[string]string // of each chain
	rules map[string][]nftnl.ListedRule
	hops  map[bool][]string // the keys of the sets
}

// Read reports whether the table exists, and whether it is what the definition makes.
func Read(c marks.RouterCounters) (exists, matches bool, err error) {
	socket, err := nftnl.Open()
	if err != nil {
		return false, false, err
	}
	defer socket.Close()
	if exists, err = isThere(socket); !exists || err != nil {
		return false, false, err
	}
	has := content{hooks: map[string]string{}, rules: map[string][]nftnl.ListedRule{}, hops: map[bool][]string{}}
	read := func(query nftnl.Request, each func(attributes []byte)) {
		if err == nil {
			err = socket.Dump(query, each)
		}
	}
	read(table.List(unix.NFT_MSG_GETCHAIN), has.addChain)
	read(table.List(unix.NFT_MSG_GETRULE), has.addRule)
	for _, ipv6 := range families {
		read(table.ListElements(hopSet(ipv6).Name), func(a []byte) { has.addElements(ipv6, a) })
	}
	if errors.Is(err, unix.ENOENT) { // a part was deleted, or all of it
		return true, false, nil
	}
	return true, err == nil && has.matches(c), err
}

// isThere reports whether the kernel has the table.
func isThere(socket *nftnl.Socket) (exists bool, err error) {
	err = socket.Get(table.Query(), func([]byte) { exists = true })
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT):
		return false, nil // the kernel has no nftables either
	case err != nil:
		return false, fmt.Errorf("look for the nftables table inet %s: %w", marks.RouterCountersName, err)
	}
	return exists, nil
}

func (h *content) addChain(a []byte) {
	if netfilter.FindString(a, unix.NFTA_CHAIN_TABLE) == marks.RouterCountersName {
		hook := nlattr.Find(a, unix.NFTA_CHAIN_HOOK)
		h.hooks[netfilter.FindString(a, unix.NFTA_CHAIN_NAME)] = hookText(hook != nil, netfilter.FindUint32(hook, unix.NFTA_HOOK_HOOKNUM),
			int32(netfilter.FindUint32(hook, unix.NFTA_HOOK_PRIORITY)))
	}
}

// hookText identifies the hook of a chain.
func hookText(base bool, hook uint32, priority int32) string {
	if !base {
		return ""
	}
	return fmt.Sprint(hook, " ", priority)
}

func (h *content) addRule(a []byte) {
	if netfilter.FindString(a, unix.NFTA_RULE_TABLE) == marks.RouterCountersName {
		chain := netfilter.FindString(a, unix.NFTA_RULE_CHAIN)
		h.rules[chain] = append(h.rules[chain], nftnl.ReadRule(a))
	}
}

func (h *content) addElements(ipv6 bool, a []byte) {
	for _, element := range nlattr.All(nlattr.Find(a, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		h.hops[ipv6] = append(h.hops[ipv6], string(nlattr.Find(nlattr.Find(element, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)))
	}
}

// matches reports whether the content is what the definition makes.
func (h *content) matches(c marks.RouterCounters) bool {
	hooks := map[string]string{marks.RouterCountersPost: hookText(true, unix.NF_INET_POST_ROUTING, marks.RouterCountersPriority)}
	for _, u := range c.List() {
		hooks[u.Chain()] = ""
	}
	for _, ipv6 := range families {
		var want []string
		for _, hop := range c.Hops(ipv6) {
			want = append(want, string(hop.AsSlice()))
		}
		slices.Sort(want)
		slices.Sort(h.hops[ipv6])
		if !slices.Equal(want, h.hops[ipv6]) {
			return false
		}
	}
	return maps.Equal(hooks, h.hooks) && maps.EqualFunc(h.rules, chainRules(c), func(have []nftnl.ListedRule, want [][][]byte) bool {
		return slices.EqualFunc(have, want, nftnl.ListedRule.Equals)
	})
}

// Counts returns the counts of the first replies of each uplink in a family, nil if the table does not exist.
func Counts(ipv6 bool) (map[marks.ID]marks.ReplyCounters, error) {
	socket, err := nftnl.Open()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	if exists, err := isThere(socket); !exists || err != nil {
		return nil, err
	}
	packets := map[string]uint64{}
	err = socket.Dump(table.List(unix.NFT_MSG_GETOBJ), func(a []byte) {
		n := nlattr.Find(nlattr.Find(a, unix.NFTA_OBJ_DATA), unix.NFTA_COUNTER_PACKETS)
		if netfilter.FindString(a, unix.NFTA_OBJ_TABLE) == marks.RouterCountersName && len(n) == 8 {
			packets[netfilter.FindString(a, unix.NFTA_OBJ_NAME)] = binary.BigEndian.Uint64(n)
		}
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, classify(fmt.Errorf("read the reply counters of routers: %w", err))
	}
	counts := map[marks.ID]marks.ReplyCounters{}
	for id := marks.ID(1); id != 0; id++ {
		symmetric, stray := marks.NFTCounters(id, ipv6)
		if n, exists := packets[symmetric]; exists {
			counts[id] = marks.ReplyCounters{Symmetric: n, Stray: packets[stray]}
		}
	}
	return counts, nil
}
