package procfs

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Counter returns a counter of /proc/net/netstat, such as "TcpExt", "IPReversePathFilter". known is false when the kernel
// does not have it.
func Counter(group, name string) (n uint64, known bool) {
	text, err := os.ReadFile("/proc/thread-self/net/netstat")
	if err != nil {
		return 0, false
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] != group+":":
		case names == nil:
			names = words
		default:
			if at := slices.Index(names, name); at > 0 && at < len(words) {
				n, err = strconv.ParseUint(words[at], 10, 64)
				return n, err == nil
			}
		}
	}
	return 0, false
}

// Sysctl returns a sysctl that is a number, by its path below /proc/sys.
func Sysctl(path string) (n uint64, known bool) {
	text, err := os.ReadFile(filepath.Join(sysctlDir, path))
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// SysctlPortRange returns a sysctl of two port numbers, the first and the last.
func SysctlPortRange(path string) (span [2]uint16, known bool) {
	text, err := os.ReadFile(filepath.Join(sysctlDir, path))
	words := strings.Fields(string(text))
	if err != nil || len(words) != 2 {
		return span, false
	}
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 16)
		if err != nil {
			return span, false
		}
		span[i] = uint16(n)
	}
	return span, true
}

// Queues returns the numbers of the queues of netfilter that programs read (NFQUEUE). known is false when the kernel has none.
func Queues() (numbers []uint16, known bool) {
	text, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if err != nil {
		return nil, false
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 0 {
			if n, err := strconv.ParseUint(words[0], 10, 16); err == nil {
				numbers = append(numbers, uint16(n))
			}
		}
	}
	return numbers, true
}
