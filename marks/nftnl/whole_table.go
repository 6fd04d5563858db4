package nftnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// ReplaceTable makes the objects of a table, in place of one that exists, in one transaction.
func ReplaceTable(t Table, objects []Request) error {
	// A table that exists is no error for Create, one that does not is an error for Delete.
	return commit(slices.Concat([]Request{t.Create(0), t.Delete()}, objects))
}

// DeleteTable deletes a table, if it exists.
func DeleteTable(t Table) error {
	err := commit([]Request{t.Delete()})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// CheckTable returns why the kernel cannot make the objects of a table, which does not exist; nil if it can. It changes nothing.
func CheckTable(objects []Request) error {
	s, err := Open()
	if err != nil {
		return err
	}
	defer s.Close()
	refused, err := s.Try(objects)
	if err == nil && len(refused) > 0 {
		err = refused[0]
	}
	return Explain(err)
}

func commit(requests []Request) error {
	s, err := Open()
	if err != nil {
		return err
	}
	defer s.Close()
	return Explain(s.Commit(requests))
}

// Explain wraps an error of the kernel with the remedy; nil stays nil.
func Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("nftables: %w: run as root, or with the capability CAP_NET_ADMIN", err)
	}
	return fmt.Errorf("nftables: %w", err)
}

// HasTable reports whether the kernel has the table.
func (s *Socket) HasTable(t Table) (exists bool, err error) {
	_, exists, err = s.TableFlags(t)
	return exists, err
}

// TableFlags returns the flags of the table, and whether the kernel has it.
func (s *Socket) TableFlags(t Table) (flags uint32, exists bool, err error) {
	err = s.Get(t.Query(), func(a []byte) { flags, exists = netfilter.FindUint32(a, unix.NFTA_TABLE_FLAGS), true })
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT):
		return 0, false, nil // the kernel has no nftables either
	case err != nil:
		return 0, false, fmt.Errorf("look for the nftables table inet %s: %w", t, err)
	}
	return flags, exists, nil
}

// CounterPackets returns the packets of the table's counters, by their names; none if there is no such table.
func (s *Socket) CounterPackets(t Table) (map[string]uint64, error) {
	packets := map[string]uint64{}
	err := s.Dump(t.List(unix.NFT_MSG_GETOBJ), func(a []byte) {
		n := nlattr.Find(nlattr.Find(a, unix.NFTA_OBJ_DATA), unix.NFTA_COUNTER_PACKETS)
		if netfilter.HasString(a, unix.NFTA_OBJ_TABLE, string(t)) && netfilter.FindUint32(a, unix.NFTA_OBJ_TYPE) == unix.NFT_OBJECT_COUNTER && len(n) == 8 {
			packets[netfilter.FindString(a, unix.NFTA_OBJ_NAME)] = binary.BigEndian.Uint64(n)
		}
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, Explain(fmt.Errorf("read the reply counters: %w", err))
	}
	return packets, nil
}

// ListedHook identifies the hook of a chain, given its attributes, as HookText does; "" for a chain that rules jump to.
func ListedHook(chain []byte) string {
	hook := nlattr.Find(chain, unix.NFTA_CHAIN_HOOK)
	if hook == nil {
		return ""
	}
	return HookText(netfilter.FindUint32(hook, unix.NFTA_HOOK_HOOKNUM), int32(netfilter.FindUint32(hook, unix.NFTA_HOOK_PRIORITY)))
}

// HookText identifies a hook (NF_INET_*) and a priority.
func HookText(hook uint32, priority int32) string { return fmt.Sprint(hook, " ", priority) }

// ListedKeys returns the keys of the elements of a set that one message lists.
func ListedKeys(attributes []byte) (keys []string) {
	for _, element := range nlattr.All(nlattr.Find(attributes, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		keys = append(keys, string(nlattr.Find(nlattr.Find(element, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)))
	}
	return keys
}

// FamilyNumber returns the number of a family: NFPROTO_IPV4, NFPROTO_IPV6.
func FamilyNumber(ipv6 bool) byte {
	if ipv6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}
