package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// sinkAtEgress drops and counts what leaves, just before the link would take it; sinkAtIngress what comes in.
const (
	sinkAtEgress  = "egress"
	sinkAtIngress = "ingress"
)

// sink makes the links that lead anywhere end there: what lies behind them costs nothing, and the counters show by
// which link packets left.
func (g *gateway) sink(hook string) {
	var table strings.Builder
	table.WriteString("table netdev sink {\n")
	for _, link := range []string{"lan0", uplinkName(0), g.last.Name} {
		fmt.Fprintf(&table, " chain %s { type filter hook %s device %s priority 0; counter drop; }\n", link, hook, link)
		if g.uplinks == 1 && link == uplinkName(0) {
			break
		}
	}
	table.WriteString("}\n")
	feed(g.host, table.String(), "nft", "-f", "-")
}

// left returns how many packets have left by each link.
func (g *gateway) left() map[string]int {
	out, err := g.host.Command(context.Background(), "nft", "-j", "list", "table", "netdev", "sink").Output()
	must(err, "%s: count what left", g.name)
	var listed struct {
		Nftables []struct {
			Rule struct {
				Chain string
				Expr  []struct {
					Counter struct{ Packets int }
				}
			}
		}
	}
	must(json.Unmarshal(out, &listed), "%s: read what left", g.name)
	count := map[string]int{}
	for _, object := range listed.Nftables {
		for _, e := range object.Rule.Expr {
			count[object.Rule.Chain] += e.Counter.Packets
		}
	}
	return count
}
