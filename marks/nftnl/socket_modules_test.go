//go:build modules

package nftnl_test

import (
	"errors"
	"os"
	"testing"

	"replypath/marks/nftnl"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

// The kernel answers each request of a transaction that it refuses. A socket has room for those of two large ones: the answers of the first
// one that were not read are there while it tries again, as a proof does that waits for the end of another. A kernel with the usual limit
// of buffers (net.core.rmem_max) is needed: make test-modules boots one.
func TestRecentKernelTriesRefusedTransactionAgain(t *testing.T) {
	holder, err := nftnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	const table = nftnl.Table("rp-held")
	requests := []nftnl.Request{table.CreateNew(nftnl.Owner)}
	if err := holder.Commit(requests); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		requests = append(requests, table.AddRule("none", nftnl.Drop()))
	}
	s, err := nftnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		var refused nftnl.RequestError
		if err := s.Commit(requests); !errors.As(err, &refused) || !refused.First || !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EEXIST) {
			t.Errorf("%v", err)
		}
	}
}
