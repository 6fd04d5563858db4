package flowtable

import (
	"encoding/binary"
	"maps"
	"slices"

	"replypath/marks"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// state returns the definition that the content follows from, or a damaged one.
func (c content) state() marks.FlowState {
	s := marks.FlowState{Moved: c.moved}
	uplinks, mask, readable := c.uplinks()
	var inside []string
	for _, name := range c.devices {
		if !slices.ContainsFunc(uplinks, func(u marks.FlowLink) bool { return u.Name == name }) {
			inside = append(inside, name)
		}
	}
	s.FlowTable = marks.NewFlowTable(mask, uplinks, inside)
	s.Damaged = !readable || !c.complete || !c.matches(s.FlowTable)
	return s
}

// uplinks returns the links with their marks, and the mask, that the rules in prerouting have.
func (c content) uplinks() (all []marks.FlowLink, mask marks.Mask, readable bool) {
	rules := c.rules[marks.FlowTablePre]
	if len(rules) < 2 {
		return nil, 0, false
	}
	for _, r := range rules[1:] {
		if len(r.Data) != 8 {
			return nil, 0, false
		}
		name := nlattr.Find(nlattr.Find(r.Data[1], unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
		m := nlattr.Find(nlattr.Find(r.Data[5], unix.NFTA_BITWISE_MASK), unix.NFTA_DATA_VALUE)
		mark := nlattr.Find(nlattr.Find(r.Data[6], unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
		if len(m) != 4 || len(mark) != 4 {
			return nil, 0, false
		}
		mask = marks.Mask(binary.NativeEndian.Uint32(m))
		all = append(all, marks.FlowLink{Name: unix.ByteSliceToString(name), Mark: marks.Mark(binary.NativeEndian.Uint32(mark))})
	}
	return all, mask, true
}

// matches reports whether the content is what the definition makes.
func (c content) matches(t marks.FlowTable) bool {
	wantSets := map[string][]string{}
	for _, u := range t.Uplinks.Values() {
		wantSets[marks.FlowTableMarks] = append(wantSets[marks.FlowTableMarks], string(nftnl.Native(uint32(u.Mark))))
	}
	for _, l := range t.Links() {
		wantSets[marks.FlowTableLinks] = append(wantSets[marks.FlowTableLinks], string(nftnl.LinkName(l)))
	}
	for _, p := range protocols {
		wantSets[marks.FlowTableProtocols] = append(wantSets[marks.FlowTableProtocols], string(p))
	}
	for _, sets := range []map[string][]string{wantSets, c.sets} {
		for _, keys := range sets {
			slices.Sort(keys)
		}
	}
	wantRules := map[string][][][]byte{marks.FlowTablePre: preRules(t), marks.FlowTableForward: {forwardRule(t)}}
	wantChains := map[string]string{marks.FlowTablePre: nftnl.HookText(unix.NF_INET_PRE_ROUTING, marks.FlowTablePrePriority),
		marks.FlowTableForward: nftnl.HookText(unix.NF_INET_FORWARD, marks.FlowTableForwardPriority)}
	return slices.Equal(t.Links(), c.devices) && maps.EqualFunc(wantSets, c.sets, slices.Equal) && maps.Equal(wantChains, c.chains) &&
		maps.EqualFunc(wantRules, c.rules, func(want [][][]byte, have []nftnl.ListedRule) bool {
			return slices.EqualFunc(have, want, nftnl.ListedRule.Equals)
		})
}
