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

// Fix remedies a finding without interrupting connections.
type Fix struct {
	Action   string // for the operator: a sentence, or the equivalent command
	Activate string // the command that makes it effective; empty: none is needed
	Undo     string // the command that undoes it
	Apply    func() error
}

// Fixes returns the fixes by the ID of their finding, for a host whose files are below the root.
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

// createFile writes a new file, and refuses to replace one.
func createFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists and has other content: correct it", path)
	}
	return atomicfile.Write(path, text, 0o644)
}
