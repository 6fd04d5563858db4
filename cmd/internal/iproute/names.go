// Package iproute reads and writes the names of routing tables and protocols that ip(8) shows.
package iproute

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// nameDirs are the folders from which ip(8) reads names; a later one takes precedence.
var nameDirs = []string{"/usr/lib/iproute2", "/usr/share/iproute2", iprouteDir}

// Names returns the names that ip(8) prints, and the programs that add rules of the protocol "static" on this host. Files
// that cannot be read are left out.
func Names() rpdb.Names {
	n := rpdb.Names{Tables: map[uplinks.Table]string{}, Protocols: map[uint8]string{}, Static: staticWriter("/run")}
	for number, name := range readNames("rt_tables", 32) {
		n.Tables[uplinks.Table(number)] = name
	}
	for number, name := range readNames("rt_protos", 8) {
		n.Protocols[uint8(number)] = name
	}
	return n
}

// LinkGroups returns the numbers of the link groups by the names that iptables-save(8) prints for them.
func LinkGroups() map[string]uplinks.Group {
	all := map[string]uplinks.Group{}
	for number, name := range readNames("group", 32) {
		all[name] = uplinks.Group(number)
	}
	return all
}

// readNames reads the files of this name, and those in the folders NAME.d. bits is the size of a number.
func readNames(file string, bits int) map[uint64]string {
	all := map[uint64]string{}
	for _, dir := range nameDirs {
		more, _ := filepath.Glob(filepath.Join(dir, file+".d", "*.conf"))
		slices.Sort(more)
		for _, path := range append([]string{filepath.Join(dir, file)}, more...) {
			text, _ := os.ReadFile(path)
			for line := range strings.Lines(string(text)) {
				fields := strings.Fields(line)
				if len(fields) < 2 {
					continue
				}
				if number, err := strconv.ParseUint(fields[0], 0, bits); err == nil {
					all[number] = fields[1]
				}
			}
		}
	}
	return all
}

// staticWriter returns which of the programs that add rules of the protocol "static" run, by their folders in /run.
func staticWriter(run string) string {
	var names []string
	for _, program := range []struct{ name, dir string }{{"systemd-networkd", "systemd/netif/links"}, {"NetworkManager", "NetworkManager/devices"}} {
		if entries, _ := os.ReadDir(filepath.Join(run, program.dir)); len(entries) > 0 {
			names = append(names, program.name)
		}
	}
	return strings.Join(names, " or ")
}
