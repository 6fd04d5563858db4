package rtnl

import (
	"context"

	"replypath/marks"

	"golang.org/x/sys/unix"
)

// MarkUse counts the connections with a mark.
type MarkUse struct {
	Connections int
	Live        int // of those: established, or answered where there is no handshake
}

// MarksInUse returns how many connections of the filter have each of the marks under the mask.
func MarksInUse(ctx context.Context, f MarkFilter, mask marks.Mask) (map[marks.Mark]MarkUse, error) {
	use := map[marks.Mark]MarkUse{}
	err := dump(ctx, "connections", func() error {
		clear(use)
		return f.each(func(c Connection, _ []byte) {
			mark := marks.Mark(c.Mark & uint32(mask))
			u := use[mark]
			u.Connections++
			if c.Assured || c.SeenReply && c.Original.Proto != unix.IPPROTO_TCP {
				u.Live++
			}
			use[mark] = u
		})
	})
	return use, err
}
