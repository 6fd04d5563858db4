package answer

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"
)

func TestTheTableOfThePageHelpsServers(t *testing.T) {
	_, rest, opened := strings.Cut(house.ReadDocument(t, house.Configuration), "<!-- udp -->\n```toml\n")
	table, _, closed := strings.Cut(rest, "```\n<!-- /udp -->")
	if !opened || !closed {
		t.Fatal("the page has no block of [udp]")
	}
	group := world.NewCgroup(t)
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), append(strings.Split(strings.TrimSpace(table), "\n"), `cgroup = "`+group+`"`)...)
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
}
