package uplinks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tunable is a single value of the kernel that has an owner before us: a sysctl or a link's group.
type Tunable struct {
	Link string // empty: the whole network namespace's
	Name string // a sysctl's name, or LinkGroup
}

// The tunables that we set.
const (
	LinkGroup    = "group"
	SrcValidMark = "net.ipv4.conf.*.src_valid_mark" // * is the link
	FwmarkAccept = "net.ipv4.tcp_fwmark_accept"
	Reflect4     = "net.ipv4.fwmark_reflect"
	Reflect6     = "net.ipv6.fwmark_reflect"
)

// Tunables of the whole namespace. They make the kernel's own replies and accepted sockets carry the mark from their
// first route look-up on (Documentation/networking/ip-sysctl.rst).
var namespaceTunables = [...]Tunable{{Name: FwmarkAccept}, {Name: Reflect4}, {Name: Reflect6}}

// Original is a value that a tunable had before us, and the one that we gave it.
type Original struct {
	LinkIndex int    // of the link; a link that was made anew under the same name is another
	Value     string // before us
	Applied   string // by us; anything else is the work of somebody after us, and stays
}

// Path is the sysctl's file below /proc/sys.
func (t Tunable) Path() string {
	name := strings.ReplaceAll(t.Name, ".", "/")
	return strings.Replace(name, "*", t.Link, 1)
}

// String names the tunable to people.
func (t Tunable) String() string {
	if t.Name == LinkGroup {
		return "group of " + t.Link
	}
	return t.sysctl()
}

// sysctl is the name as sysctl(8) takes it: with slashes when the link's name has a dot in it.
func (t Tunable) sysctl() string {
	if strings.Contains(t.Link, ".") {
		return t.Path()
	}
	return strings.Replace(t.Name, "*", t.Link, 1)
}

func (t Tunable) command(value string) string {
	if t.Name == LinkGroup {
		return fmt.Sprintf("ip link set dev %s group %s", t.Link, value)
	}
	return fmt.Sprintf("sysctl -w %s=%s", t.sysctl(), value)
}

func compareTunables(a, b *Tunable) int {
	return cmp.Or(cmp.Compare(a.Link, b.Link), cmp.Compare(a.Name, b.Name))
}

// Sysctls are the sysctls that we may set on a host with these links; those of the links alone when the facts are of some
// shares only.
func Sysctls(f Facts) (all []Tunable) {
	if f.Scopes == nil {
		all = append(all, namespaceTunables[:]...)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		all = append(all, Tunable{name, SrcValidMark})
	}
	return all
}
