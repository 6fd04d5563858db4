package rtnl

import (
	"context"
	"sync"
	"testing"

	"replypath/uplinks"
)

// With the race detector: Open must not write what requests on other handles read.
func TestHandlesOpenWhileOthersAreInUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				h, err := Open(uplinks.DefaultTableBase)
				if err != nil {
					t.Error(err)
					return
				}
				if l, err := h.findLink(context.Background(), "lo"); err != nil || l == nil {
					t.Errorf("lo: %v, %v", l, err)
				}
				h.Close()
			}
		})
	}
	wg.Wait()
}
