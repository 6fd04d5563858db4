package netfilter_test

import (
	"bytes"
	"slices"
	"testing"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

func TestMessagesRoundTrip(t *testing.T) {
	begin := netfilter.BatchMarker(unix.NFNL_MSG_BATCH_BEGIN, 1)
	change := netfilter.Message(unix.NFT_MSG_NEWTABLE, unix.NLM_F_REQUEST, 2, unix.NFPROTO_INET, netfilter.StringAttribute(unix.NFTA_TABLE_NAME, "odd"))
	both := slices.Concat(begin, change)
	all := slices.Collect(netfilter.Messages(both))
	if len(all) != 2 || !bytes.Equal(all[0], begin) || !bytes.Equal(all[1], change) {
		t.Errorf("%x", all)
	}
	if name := nlattr.Find(all[1][unix.SizeofNlMsghdr+4:], unix.NFTA_TABLE_NAME); string(name) != "odd\x00" {
		t.Errorf("%q", name)
	}
	for n := range len(both) {
		if got := len(slices.Collect(netfilter.Messages(both[:n]))); (got == 1) != (n >= len(begin)) {
			t.Errorf("%d messages in %d bytes", got, n)
		}
	}
}
