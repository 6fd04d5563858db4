package rtnl

import (
	"context"

	"replypath/marks"
)

// MarkUse counts the connections with a mark.
type MarkUse struct {
	Connections int
	Assured     int // of those: packets were seen in both directions, and the handshake is complete
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
			if c.Assured {
				u.Assured++
			}
			use[mark] = u
		})
	})
	return use, err
}
