package routercounters

import (
	"errors"
	"maps"
	"slices"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// Set makes the table, in place of one that exists, in one transaction. All counters begin at 0.
func Set(c marks.RouterCounters) error { return nftnl.ReplaceTable(table, create(c)) }

// Delete deletes the table, if it exists.
func Delete() error { return nftnl.DeleteTable(table) }

// Check returns why the kernel cannot make the table, which does not exist; nil if it can. It changes nothing.
func Check(c marks.RouterCounters) error { return nftnl.CheckTable(create(c)) }

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
	if exists, err = socket.HasTable(table); !exists || err != nil {
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
		read(table.ListElements(hopSet(ipv6).Name), func(a []byte) { has.hops[ipv6] = append(has.hops[ipv6], nftnl.ListedKeys(a)...) })
	}
	if errors.Is(err, unix.ENOENT) { // a part was deleted, or all of it
		return true, false, nil
	}
	return true, err == nil && has.matches(c), err
}

func (h *content) addChain(a []byte) {
	if netfilter.HasString(a, unix.NFTA_CHAIN_TABLE, marks.RouterCountersName) {
		h.hooks[netfilter.FindString(a, unix.NFTA_CHAIN_NAME)] = nftnl.ListedHook(a)
	}
}

func (h *content) addRule(a []byte) {
	if netfilter.HasString(a, unix.NFTA_RULE_TABLE, marks.RouterCountersName) {
		chain := netfilter.FindString(a, unix.NFTA_RULE_CHAIN)
		h.rules[chain] = append(h.rules[chain], nftnl.ReadRule(a))
	}
}

// matches reports whether the content is what the definition makes.
func (h *content) matches(c marks.RouterCounters) bool {
	hooks := map[string]string{marks.RouterCountersPost: nftnl.HookText(unix.NF_INET_POST_ROUTING, marks.RouterCountersPriority)}
	for _, u := range c.Uplinks.Values() {
		hooks[u.Chain()] = ""
	}
	if !c.Routers.IsEmpty() {
		hooks[marks.RouterCountersPre] = nftnl.HookText(unix.NF_INET_PRE_ROUTING, marks.RouterCountersPriority)
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

// Packets returns the packets of the counters (marks.NFTCounters, marks.CountedRouter), by their names; none if the table does not exist.
func Packets() (map[string]uint64, error) {
	socket, err := nftnl.Open()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	if exists, err := socket.HasTable(table); !exists || err != nil {
		return nil, err
	}
	return socket.CounterPackets(table)
}
