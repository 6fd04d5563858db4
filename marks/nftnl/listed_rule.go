package nftnl

import (
	"bytes"
	"slices"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// ListedRule has the expressions of a rule as the kernel lists them: the name and the attributes of each.
type ListedRule struct {
	Names []string
	Data  [][]byte
}

// ReadRule copies the expressions of a rule, given its attributes.
func ReadRule(attributes []byte) (r ListedRule) {
	for name, data := range netfilter.Expressions(attributes) {
		r.Names, r.Data = append(r.Names, name), append(r.Data, slices.Clone(data))
	}
	return r
}

// setID is an attribute that names a set within a transaction: the kernel does not list it (NFTA_LOOKUP_SET_ID).
const setID = unix.NFTA_LOOKUP_SET_ID

// Equals reports whether the rule has the expressions of a request, each with the attributes of the request.
func (r ListedRule) Equals(want [][]byte) bool {
	if len(want) != len(r.Names) {
		return false
	}
	for i, request := range want {
		expression := nlattr.Find(request, unix.NFTA_LIST_ELEM)
		if !netfilter.HasString(expression, unix.NFTA_EXPR_NAME, r.Names[i]) {
			return false
		}
		for kind, value := range nlattr.All(nlattr.Find(expression, unix.NFTA_EXPR_DATA)) {
			if r.Names[i] == "lookup" && kind == setID {
				continue
			}
			if !equalValue(value, nlattr.Find(r.Data[i], kind)) {
				return false
			}
		}
	}
	return true
}

// equalValue compares the values of an attribute: bytes, or a value or verdict in further attributes.
func equalValue(want, have []byte) bool {
	if bytes.Equal(want, have) {
		return true
	}
	if w := nlattr.Find(want, unix.NFTA_DATA_VALUE); len(w) > 0 {
		return bytes.Equal(w, nlattr.Find(have, unix.NFTA_DATA_VALUE))
	}
	w, h := nlattr.Find(want, unix.NFTA_DATA_VERDICT), nlattr.Find(have, unix.NFTA_DATA_VERDICT)
	code := nlattr.Find(w, unix.NFTA_VERDICT_CODE)
	return len(code) > 0 && bytes.Equal(code, nlattr.Find(h, unix.NFTA_VERDICT_CODE)) &&
		netfilter.FindString(w, unix.NFTA_VERDICT_CHAIN) == netfilter.FindString(h, unix.NFTA_VERDICT_CHAIN)
}
