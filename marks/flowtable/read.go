package flowtable

import (
	"errors"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// content is what the table holds, as listed.
type content struct {
	chains   map[string]string // the hook of each
	rules    map[string][]nftnl.ListedRule
	sets     map[string][]string // the keys of the elements
	devices  []string
	moved    bool
	complete bool // no object is there that replypath does not make
}

// Read returns the content of the table; exists is false if there is none.
func Read() (s marks.FlowState, exists bool, err error) {
	socket, err := nftnl.Open()
	if err != nil {
		return s, false, err
	}
	defer socket.Close()
	if exists, err = socket.HasTable(table); !exists || err != nil {
		return s, false, err
	}
	c := content{chains: map[string]string{}, rules: map[string][]nftnl.ListedRule{}, sets: map[string][]string{}, complete: true}
	for _, list := range []struct {
		kind uint16
		add  func(attributes []byte)
	}{{unix.NFT_MSG_GETCHAIN, c.addChain}, {unix.NFT_MSG_GETRULE, c.addRule}, {unix.NFT_MSG_GETOBJ, c.addObject}, {unix.NFT_MSG_GETFLOWTABLE, c.addFlowTable}} {
		if err := socket.Dump(table.List(list.kind), list.add); err != nil {
			return s, false, ignoreNotFound(err)
		}
	}
	for _, set := range []string{marks.FlowTableMarks, marks.FlowTableLinks, marks.FlowTableProtocols} {
		err := socket.Dump(table.ListElements(set), func(a []byte) { c.sets[set] = append(c.sets[set], nftnl.ListedKeys(a)...) })
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return s, false, err
		}
	}
	return c.state(), true, nil
}

// ignoreNotFound returns no error for a table that was deleted meanwhile.
func ignoreNotFound(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func (c *content) addChain(a []byte) {
	if !netfilter.HasString(a, unix.NFTA_CHAIN_TABLE, marks.FlowTableName) {
		return
	}
	c.chains[netfilter.FindString(a, unix.NFTA_CHAIN_NAME)] = nftnl.ListedHook(a)
}

func (c *content) addRule(a []byte) {
	if !netfilter.HasString(a, unix.NFTA_RULE_TABLE, marks.FlowTableName) {
		return
	}
	chain := netfilter.FindString(a, unix.NFTA_RULE_CHAIN)
	c.rules[chain] = append(c.rules[chain], nftnl.ReadRule(a))
}

func (c *content) addObject(a []byte) {
	if !netfilter.HasString(a, unix.NFTA_OBJ_TABLE, marks.FlowTableName) {
		return
	}
	c.moved = c.moved || len(strings.Trim(string(nlattr.Find(nlattr.Find(a, unix.NFTA_OBJ_DATA), nftnl.QuotaConsumed)), "\x00")) > 0
}

func (c *content) addFlowTable(a []byte) {
	if !netfilter.HasString(a, nftnl.FlowTableTable, marks.FlowTableName) {
		return
	}
	hook := nlattr.Find(a, nftnl.FlowTableHook)
	c.devices = devices(hook)
	c.complete = c.complete && netfilter.HasString(a, nftnl.FlowTableName, marks.FlowTableObject) && netfilter.FindUint32(hook, nftnl.FlowTablePriority) == 0 &&
		netfilter.FindUint32(a, nftnl.FlowTableFlags) == nftnl.FlowTableCounts
}

// devices returns the sorted names of the links of a flow table's hook.
func devices(hook []byte) (links []string) {
	for _, name := range nlattr.All(nlattr.Find(hook, nftnl.FlowTableDevices)) {
		links = append(links, unix.ByteSliceToString(name))
	}
	slices.Sort(links)
	return links
}

// Others returns which flow table of another program each link is in, as family, table and name.
func Others() (map[string]string, error) {
	all, err := netfilter.Objects(unix.NFT_MSG_GETFLOWTABLE)
	if err != nil {
		return nil, err
	}
	links := map[string]string{}
	for _, o := range all {
		owner := netfilter.FindString(o.Attributes, nftnl.FlowTableTable)
		if owner == marks.FlowTableName {
			continue
		}
		for _, l := range devices(nlattr.Find(o.Attributes, nftnl.FlowTableHook)) {
			links[l] = owner + " " + netfilter.FindString(o.Attributes, nftnl.FlowTableName)
		}
	}
	return links, nil
}
