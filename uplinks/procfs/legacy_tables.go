package procfs

import (
	"sync"

	"replypath/uplinks"
)

// LegacyTables reads repeatedly whether the legacy backend of iptables has tables, in the network namespace of the first call. It
// keeps its files open, as SysctlReader does. The zero LegacyTables is ready. Safe for concurrent use.
type LegacyTables struct {
	mu    sync.Mutex
	files map[uplinks.Family]*openFile
}

// legacyTableFiles have the names of the tables.
var legacyTableFiles = map[uplinks.Family]string{uplinks.IPv4: "/proc/thread-self/net/ip_tables_names", uplinks.IPv6: "/proc/thread-self/net/ip6_tables_names"}

// Exist reports whether there are tables of the family.
func (t *LegacyTables) Exist(f uplinks.Family) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.files == nil {
		t.files = map[uplinks.Family]*openFile{}
		for family, path := range legacyTableFiles {
			t.files[family] = &openFile{path, notOpen}
		}
	}
	var first [1]byte
	return t.files[f].read(first[:], true) > 0
}

// Close closes the files.
func (t *LegacyTables) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.files {
		f.close()
	}
}
