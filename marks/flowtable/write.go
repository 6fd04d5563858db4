package flowtable

import (
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// Set makes the table, in place of one that exists, in one transaction. All connections leave the old one.
func Set(t marks.FlowTable) error {
	requests := create(t)
	// A table that exists is no error for Create, one that does not is an error for Delete.
	requests = slices.Concat([]nftnl.Request{table.Create(0), table.Delete()}, requests)
	return commit(requests)
}

// Delete deletes the table, if it exists. From then on the packets of all connections take the rules and routes.
func Delete() error {
	err := commit([]nftnl.Request{table.Delete()})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func commit(requests []nftnl.Request) error {
	socket, err := nftnl.Open()
	if err != nil {
		return err
	}
	defer socket.Close()
	return classify(socket.Commit(requests))
}

// classify wraps an error of the kernel with the remedy.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("nftables: %w: run as root, or with the capability CAP_NET_ADMIN", err)
	}
	return fmt.Errorf("nftables: %w", err)
}

// Check returns why the kernel cannot make such a table, which does not exist yet; nil if it can. It changes nothing.
func Check() error {
	socket, err := nftnl.Open()
	if err != nil {
		return err
	}
	defer socket.Close()
	refused, err := socket.Try(create(marks.NewFlowTable(marks.DefaultMask, []marks.FlowLink{{Name: "lo", Mark: marks.DefaultMask.Mark(1)}}, nil)))
	switch {
	case err != nil:
		return classify(err)
	case len(refused) > 0:
		return classify(refused[0])
	}
	return nil
}
