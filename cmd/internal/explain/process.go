package explain

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// process is the name and number of the process that holds a socket, as far as this one may look; empty: none is seen.
func process(inode uint32) (name, pid string) {
	if inode == 0 {
		return "", ""
	}
	folders, _ := filepath.Glob("/proc/[0-9]*/fd")
	want := fmt.Sprintf("socket:[%d]", inode)
	for _, dir := range folders {
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			if to, _ := os.Readlink(filepath.Join(dir, f.Name())); to == want {
				comm, _ := os.ReadFile(filepath.Join(filepath.Dir(dir), "comm"))
				return strings.TrimSpace(string(comm)), filepath.Base(filepath.Dir(dir))
			}
		}
	}
	return "", ""
}

// remedies are how well known servers are brought to answer from the address that they were asked at.
var remedies = map[string]string{
	"openvpn":  "give it the option multihome",
	"dnsmasq":  "give it bind-dynamic",
	"unbound":  "give it interface-automatic: yes",
	"coredns":  "let it bind each address",
	"snmpd":    "give it an agentAddress for each address",
	"rsyslogd": "it answers nothing: no harm",
	"dhclient": "it is a client: no harm",
}

func remedy(process string) string {
	if r, ok := remedies[process]; ok {
		return r
	}
	return "let it listen on each address, or ask for the address of each question (IP_PKTINFO)"
}
