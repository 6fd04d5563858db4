package host

import (
	"fmt"
	"os"
	"path/filepath"

	"replypath/cmd/internal/doctor"
	"replypath/etc"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// Fix is what can be done about a finding without cutting anybody off.
type Fix struct {
	Does string // in words, or as the line that does it
	Then string // what makes it take effect; empty: nothing is needed
	Undo string // the line that undoes it
	Do   func() error
}

// Fixes are those that there are, by the finding's ID, for a host whose files are below the root.
func Fixes(root string) map[string]Fix {
	all := uplinks.Tunable{Link: "all", Name: uplinks.SrcValidMark}
	return map[string]Fix{
		"networkd-foreign": {
			Does: "write " + doctor.DropIn,
			Then: "systemctl restart systemd-networkd",
			Undo: "rm " + doctor.DropIn,
			Do:   func() error { return writeNew(filepath.Join(root, doctor.DropIn), etc.NetworkdDropIn) },
		},
		"src-valid-mark-all": {
			Does: fmt.Sprintf("sysctl -w %s=0", all),
			Undo: fmt.Sprintf("sysctl -w %s=1", all),
			Do:   func() error { return procfs.Write(all, "0") },
		},
	}
}

// writeNew writes a file that is not there. One that is there is somebody's.
func writeNew(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already and says something else: correct it", path)
	}
	return replace(path, text, 0o644)
}
