package nftables

import (
	"errors"
	"maps"
	"slices"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nftnl"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// backupTable is the table of marks.Backup.
const backupTable = nftnl.Table(marks.BackupName)

// Backup reads and writes the table of marks.Backup. Not safe for concurrent use.
type Backup struct {
	owner *nftnl.Socket // nil: any program can change the table
}

// Protect makes the table one that no other program can change or delete, or ends that, as Firewall.Protect does. A table that exists
// is made anew by the next Set.
func (t *Backup) Protect(on bool) error {
	switch {
	case !on && t.owner != nil:
		err := t.owner.Close()
		t.owner = nil
		return err
	case !on || t.owner != nil:
		return nil
	}
	owner, err := openOwner()
	t.owner = owner
	return err
}

// Set makes the table, in place of one that exists, in one transaction.
func (t *Backup) Set(b marks.Backup) error {
	return t.change(func(exists bool) ([]nftnl.Request, error) {
		flags := uint32(0)
		if t.owner != nil {
			flags = owned
		}
		objects, err := backupObjects(b, flags)
		if exists {
			objects = slices.Insert(objects, 0, backupTable.Delete())
		}
		return objects, err
	})
}

// Delete deletes the table, if it exists.
func (t *Backup) Delete() error {
	return t.change(func(exists bool) ([]nftnl.Request, error) {
		if !exists {
			return nil, nil
		}
		return []nftnl.Request{backupTable.Delete()}, nil
	})
}

// change executes requests that depend on whether the table exists, by the socket of the owner if there is one.
func (t *Backup) change(requests func(exists bool) ([]nftnl.Request, error)) error {
	socket := t.owner
	if socket == nil {
		var err error
		if socket, err = nftnl.Open(); err != nil {
			return err
		}
		defer socket.Close()
	}
	flags, exists, err := socket.TableFlags(backupTable)
	if err != nil {
		return nftnl.Explain(err)
	}
	all, err := requests(exists)
	if err != nil || len(all) == 0 {
		return err
	}
	err = socket.Commit(all)
	if errors.Is(err, unix.EPERM) && t.owner == nil && flags&nftnl.Owner != 0 {
		return belongsToService(err)
	}
	return nftnl.Explain(err)
}

// Check returns why the kernel cannot make the table, which does not exist; nil if it can. It changes nothing.
func (t *Backup) Check(b marks.Backup) error {
	objects, err := backupObjects(b, 0)
	if err != nil {
		return err
	}
	return nftnl.CheckTable(objects)
}

// backupObjects returns the requests that make the table with these flags.
func backupObjects(b marks.Backup, flags uint32) ([]nftnl.Request, error) {
	want, err := wantedBackup(b)
	if err != nil {
		return nil, err
	}
	requests := []nftnl.Request{backupTable.Create(flags),
		backupTable.CreateBaseChain(marks.BackupPost, "nat", unix.NF_INET_POST_ROUTING, marks.BackupPostPriority)}
	if b.Restore {
		requests = append(requests, backupTable.CreateBaseChain(marks.BackupPre, "filter", unix.NF_INET_PRE_ROUTING, marks.BackupPrePriority))
	}
	for _, name := range slices.Sorted(maps.Keys(want.hooks)) {
		if want.hooks[name] == "" {
			requests = append(requests, backupTable.CreateChain(name))
		}
	}
	for _, ipv6 := range b.Families() {
		links := mapOf(marks.MasqMap, marks.NFTChain(marks.MasqMap, ipv6))
		var elements [][]byte
		for _, r := range want.elements[links.Name] {
			elements = append(elements, nftnl.ToChain(nftnl.NameKey(r.In), marks.NFTChain(r.Action.Chain, ipv6)))
		}
		requests = append(requests, backupTable.CreateSet(links), backupTable.AddElements(links, elements...))
	}
	for _, chain := range slices.Sorted(maps.Keys(want.rules)) {
		for _, r := range want.rules[chain] {
			requests = append(requests, backupTable.AddRule(chain, r...))
		}
	}
	return requests, nil
}

// backupContent is what the table holds.
type backupContent struct {
	hooks    map[string]string // of each chain, see nftnl.ListedHook
	rules    map[string][][][]byte
	elements map[string][]marks.Rule // of each map
}

// wantedBackup returns what the definition makes. The rules are in the order in which marks.Backup.NFTCommand has them.
func wantedBackup(b marks.Backup) (want backupContent, err error) {
	want = backupContent{rules: map[string][][][]byte{}, elements: map[string][]marks.Rule{},
		hooks: map[string]string{marks.BackupPost: nftnl.HookText(unix.NF_INET_POST_ROUTING, marks.BackupPostPriority)}}
	if b.Restore {
		want.hooks[marks.BackupPre] = nftnl.HookText(unix.NF_INET_PRE_ROUTING, marks.BackupPrePriority)
	}
	err = want.addRules(marks.BackupPre, b.PreRules(), false)
	for _, ipv6 := range b.Families() {
		for _, c := range b.NATChains(ipv6) {
			name := marks.NFTChain(c.Name, ipv6)
			if marks.IsMap(c.Name) {
				want.elements[name] = c.Rules
				continue
			}
			want.hooks[name] = ""
			err = errors.Join(err, want.addRules(name, c.Rules, ipv6))
		}
		want.rules[marks.BackupPost] = append(want.rules[marks.BackupPost], [][]byte{nftnl.Meta(unix.NFT_META_NFPROTO, 0),
			nftnl.Equals(0, []byte{nftnl.FamilyNumber(ipv6)}), nftnl.Goto(marks.NFTChain(marks.Masq, ipv6))})
	}
	return want, err
}

func (c *backupContent) addRules(chain string, rules []marks.Rule, ipv6 bool) error {
	for _, r := range rules {
		expressions, err := encodeRule(r, "", ipv6)
		if err != nil {
			return err
		}
		c.rules[chain] = append(c.rules[chain], expressions)
	}
	return nil
}

// Read reports whether the table exists, and whether it is what the definition makes.
func (t *Backup) Read(b marks.Backup) (exists, matches bool, err error) {
	want, err := wantedBackup(b)
	if err != nil {
		return false, false, err
	}
	socket, err := nftnl.Open()
	if err != nil {
		return false, false, err
	}
	defer socket.Close()
	flags, exists, err := socket.TableFlags(backupTable)
	if !exists || err != nil {
		return false, false, err
	}
	hooks, rules, elements := map[string]string{}, map[string][]nftnl.ListedRule{}, map[string][]marks.Rule{}
	err = errors.Join(socket.Dump(backupTable.List(unix.NFT_MSG_GETCHAIN), func(a []byte) {
		if netfilter.HasString(a, unix.NFTA_CHAIN_TABLE, marks.BackupName) {
			hooks[netfilter.FindString(a, unix.NFTA_CHAIN_NAME)] = nftnl.ListedHook(a)
		}
	}), socket.Dump(backupTable.List(unix.NFT_MSG_GETRULE), func(a []byte) {
		if netfilter.HasString(a, unix.NFTA_RULE_TABLE, marks.BackupName) {
			chain := netfilter.FindString(a, unix.NFTA_RULE_CHAIN)
			rules[chain] = append(rules[chain], nftnl.ReadRule(a))
		}
	}))
	for _, ipv6 := range b.Families() {
		name := marks.NFTChain(marks.MasqMap, ipv6)
		err = errors.Join(err, socket.Dump(backupTable.ListElements(name), func(a []byte) { elements[name] = append(elements[name], backupElements(a, ipv6)...) }))
		slices.SortFunc(elements[name], marks.CompareElements)
	}
	if errors.Is(err, unix.ENOENT) { // deleted meanwhile, or a part of it
		return true, false, nil
	}
	sound := flags&nftnl.Dormant == 0 && (t.owner == nil || flags&owned == owned)
	return true, err == nil && sound && maps.Equal(hooks, want.hooks) && maps.EqualFunc(elements, want.elements, slices.Equal[[]marks.Rule]) &&
		maps.EqualFunc(rules, want.rules, func(have []nftnl.ListedRule, want [][][]byte) bool {
			return slices.EqualFunc(have, want, nftnl.ListedRule.Equals)
		}), err
}

// backupElements returns the elements of a map that one message lists; the zero rule for one that is not of replypath.
func backupElements(a []byte, ipv6 bool) (all []marks.Rule) {
	for _, e := range nlattr.All(nlattr.Find(a, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		r, _ := decodeElement(e, unix.IFNAMSIZ, ipv6)
		all = append(all, r)
	}
	return all
}
