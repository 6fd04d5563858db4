package uplinks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tunable is a single value of the kernel that exists without replypath: a sysctl or the group of a link.
type Tunable struct {
	Link string // empty: of the network namespace
	Name string // a sysctl's name, or LinkGroup
}

// The tunables that replypath sets.
const (
	LinkGroup    = "group"
	SrcValidMark = "net.ipv4.conf.*.src_valid_mark" // * stands for the link
	FwmarkAccept = "net.ipv4.tcp_fwmark_accept"
	Reflect4     = "net.ipv4.fwmark_reflect"
	Reflect6     = "net.ipv6.fwmark_reflect"
	// UseOIFAddrsOnly confines the source addresses of what leaves by a link to those of the link (outbound_source.go).
	UseOIFAddrsOnly = "net.ipv6.conf.*.use_oif_addrs_only"
)

// namespaceTunables are the sysctls of the network namespace. With them the kernel's own replies and accepted sockets have
// the mark from their first route look-up on (Documentation/networking/ip-sysctl.rst).
var namespaceTunables = [...]Tunable{{Name: FwmarkAccept}, {Name: Reflect4}, {Name: Reflect6}}

// Original is the value of a tunable before replypath's first write, and the last value that replypath wrote.
type Original struct {
	LinkIndex int    // of the link: a new link of the same name has another
	Value     string // before replypath
	Applied   string // by replypath; if the kernel has another value now, another program wrote it, and it stays
}

// Path returns the sysctl's file, relative to /proc/sys.
func (t Tunable) Path() string {
	name := strings.ReplaceAll(t.Name, ".", "/")
	return strings.Replace(name, "*", t.Link, 1)
}

// String returns the name of the tunable for messages.
func (t Tunable) String() string {
	if t.Name == LinkGroup {
		return "group of " + t.Link
	}
	return t.sysctl()
}

// sysctl returns the name for sysctl(8): with slashes if the link's name has a dot.
func (t Tunable) sysctl() string {
	if strings.Contains(t.Link, ".") {
		return t.Path()
	}
	return strings.Replace(t.Name, "*", t.Link, 1)
}

// ParseSysctl returns the sysctl with a name as sysctl(8) prints it.
func ParseSysctl(name string) Tunable {
	separator := "."
	if strings.Contains(name, "/") {
		separator = "/"
	}
	parts := strings.Split(name, separator)
	if len(parts) != 5 || parts[2] != "conf" {
		return Tunable{Name: strings.Join(parts, ".")}
	}
	link := parts[3]
	parts[3] = "*"
	return Tunable{Link: link, Name: strings.Join(parts, ".")}
}

// command returns the shell command that sets the value.
func (t Tunable) command(value string) string {
	if t.Name == LinkGroup {
		return fmt.Sprintf("ip link set dev %s group %s", t.Link, value)
	}
	return fmt.Sprintf("sysctl -w %s=%s", t.sysctl(), value)
}

// compareTunables sorts by link, then by name.
func compareTunables(a, b *Tunable) int {
	return cmp.Or(cmp.Compare(a.Link, b.Link), cmp.Compare(a.Name, b.Name))
}

// Sysctls returns the sysctls that replypath may set on a host with these links. Of a partial observation it returns only
// those of the links.
func Sysctls(f Facts) (all []Tunable) {
	if f.Scopes == nil {
		all = append(all, namespaceTunables[:]...)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Links)) {
		all = append(all, Tunable{name, SrcValidMark})
	}
	return all
}
