package netfilter

import (
	"errors"
	"fmt"
	"iter"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Object is a chain, a rule or a flow table of nftables.
type Object struct {
	Family     uint8
	Attributes []byte
}

// Objects lists the objects of all families and tables: kind is NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE,
// NFT_MSG_GETFLOWTABLE or NFT_MSG_GETSET. A kernel that does not know the kind has none.
func Objects(kind uint16) (all []Object, err error) {
	s, err := openDumpSocket()
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	defer s.close()
	err = s.dumpComplete(request(kind, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC), func() { all = nil }, func(family uint8, attributes []byte) {
		all = append(all, Object{family, attributes})
	})
	if err == unix.EINVAL || err == unix.EOPNOTSUPP {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the rules of nftables: %w", err)
	}
	return all, nil
}

// SetElements lists the elements of a set or map of nftables, each as its attributes (NFTA_SET_ELEM_*). A set that does not
// exist has none.
func SetElements(family uint8, table, set string) (all [][]byte, err error) {
	s, err := openDumpSocket()
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	defer s.close()
	dump := request(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, family, StringAttribute(unix.NFTA_SET_ELEM_LIST_TABLE, table), StringAttribute(unix.NFTA_SET_ELEM_LIST_SET, set))
	err = s.dumpComplete(dump, func() { all = nil }, func(_ uint8, attributes []byte) {
		for _, element := range nlattr.All(nlattr.Find(attributes, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
			all = append(all, element)
		}
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the elements of the set %s of the nftables table %s: %w", set, table, err)
	}
	return all, nil
}

// CounterExpression is the name of the expression that counts packets and bytes.
const CounterExpression = "counter"

// Expressions iterates over the expressions of a rule: name and attributes, whose numbers depend on the name
// (linux/netfilter/nf_tables.h).
func Expressions(rule []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, element := range nlattr.All(nlattr.Find(rule, unix.NFTA_RULE_EXPRESSIONS)) {
			if !yield(FindString(element, unix.NFTA_EXPR_NAME), nlattr.Find(element, unix.NFTA_EXPR_DATA)) {
				return
			}
		}
	}
}
