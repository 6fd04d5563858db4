package rtnl

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The error of a kernel without nf_conntrack_netlink is distinguished from all others.
func TestKernelWithoutConnectionList(t *testing.T) {
	for err, missing := range map[error]bool{unix.EINVAL: true, unix.EPERM: false, unix.ENOBUFS: false} {
		if got := (MarkFilter{}).listError(err); errors.Is(got, ErrNoConnectionList) != missing || !errors.Is(got, err) {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

// The kernel refuses a message to no subsystem with that error.
func TestMessageToNoSubsystemIsRefused(t *testing.T) {
	const noSubsystem = 0xff
	req := nl.NewNetlinkRequest(noSubsystem<<8, unix.NLM_F_DUMP)
	req.AddRawData(make([]byte, nl.SizeofNfgenmsg))
	if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("the kernel says %v", err)
	}
}
