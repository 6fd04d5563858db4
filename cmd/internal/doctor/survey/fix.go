package survey

import (
	"fmt"
	"os"
	"path/filepath"

	"replypath/cmd/internal/atomicfile"
	"replypath/cmd/internal/doctor"
	"replypath/etc"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// Fix is what can be done about a finding without cutting anybody off.
type Fix struct {
	Action   string // in words, or as the line that does it
	Activate string // what makes it take effect; empty: nothing is needed
	Undo     string // the line that undoes it
	Apply    func() error
}

// Fixes are those that there are, by the finding's ID, for a host whose files are below the root.
func Fixes(root string) map[string]Fix {
	all := uplinks.Tunable{Link: "all", Name: uplinks.SrcValidMark}
	return map[string]Fix{
		"networkd-foreign": {
			Action:   "write " + doctor.NetworkdDropInPath,
			Activate: "systemctl restart systemd-networkd",
			Undo:     "rm " + doctor.NetworkdDropInPath,
			Apply:    func() error { return createFile(filepath.Join(root, doctor.NetworkdDropInPath), etc.NetworkdDropIn) },
		},
		"src-valid-mark-all": {
			Action: fmt.Sprintf("sysctl -w %s=0", all),
			Undo:   fmt.Sprintf("sysctl -w %s=1", all),
			Apply:  func() error { return procfs.Write(all, "0") },
		},
	}
}

// createFile writes a file that is not there. One that is there is somebody's.
func createFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already and says something else: correct it", path)
	}
	return atomicfile.Write(path, text, 0o644)
}
