package nftables_test

import (
	"fmt"
	"strings"
	"testing"

	"replypath/marks"
)

// The hardware addresses of many routers are read back in the order of their bytes, by Read and by nft(8).
func TestMapOfRoutersReadsBack(t *testing.T) {
	h := newHost(t)
	for _, ipv6 := range []bool{false, true} {
		all := links(3, ipv6)
		for i := range 245 {
			all = append(all, marks.Ingress{Link: all[0].Link, Mark: marks.Mask(0xff00).Mark(marks.ID(1 + i)), Routers: []string{fmt.Sprintf("0a:1b:2c:%02x:4e:5f", i)}})
		}
		change, want := creation(0xff00, all)
		h.apply(ipv6, change)
		h.wantRead("as applied", ipv6, want)
		text := h.list()
		for _, element := range []string{"0a:1b:2c:00:4e:5f : goto ip-in1", "0a:1b:2c:f4:4e:5f : goto ip-in245", "02:00:00:00:01:01 : goto ip-in255"} {
			if ipv6 {
				element = strings.Replace(element, "ip-", "ip6-", 1)
			}
			if !strings.Contains(text, element) {
				t.Errorf("there is no %q in\n%s", element, text)
			}
		}
	}
}
