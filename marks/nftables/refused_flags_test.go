package nftables

import (
	"errors"
	"testing"

	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// Linux 6.1 and 6.12 without the flag persist refuse the table as a whole.
func TestRefusedFlagsMeanAnOlderKernel(t *testing.T) {
	for errno, old := range map[unix.Errno]bool{unix.EOPNOTSUPP: true, unix.EINVAL: true, unix.EPERM: false, unix.ENOMEM: false} {
		if err := refusedFlags(nftnl.RequestError{Operation: "create the table", Errno: errno}); errors.Is(err, ErrUnprotected) != old {
			t.Errorf("%v: %v", errno, err)
		}
	}
}
