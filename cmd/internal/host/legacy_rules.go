package host

import (
	"fmt"
	"hash/fnv"
	"runtime"
	"time"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// ForeignLegacyRules returns a hash of the legacy firewall tables in which replypath has no rules. The kernel announces no change of
// them. Reading takes time in proportion to the number of rules: cost is the CPU time, which does not grow with what else the machine does.
func (h *Host) ForeignLegacyRules() (hash uint64, cost time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadTime()
	hash, err = h.foreignLegacyRules()
	return hash, threadTime() - began, err
}

// threadTime returns the CPU time of the calling thread.
func threadTime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) // it cannot fail for the calling thread
	return time.Duration(now.Nano())
}

func (h *Host) foreignLegacyRules() (uint64, error) {
	sum := fnv.New64a()
	for _, f := range uplinks.Families {
		if !h.legacy.Exist(f) {
			continue
		}
		ipv6 := f == uplinks.IPv6
		for _, name := range netfilter.LegacyTableNames(ipv6) {
			if name == marks.MangleTable || name == marks.MasqTable { // these are in Fingerprint
				continue
			}
			table, err := netfilter.ReadLegacyTable(name, ipv6)
			if err != nil {
				return 0, err
			}
			fmt.Fprintln(sum, f, name, table.Hash())
		}
	}
	return sum.Sum64(), nil
}
