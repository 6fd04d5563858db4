package daemon

import (
	"replypath/health"
	"replypath/health/icmp"
	"replypath/health/resolve"
)

// askers put the questions of probes, each kind in its own way.
type askers struct{ icmp *icmp.Asker }

func newAskers() *askers {
	return &askers{icmp: icmp.New(resolve.New())}
}

func (a *askers) kinds() map[health.Kind]health.Asker {
	return map[health.Kind]health.Asker{health.ICMP: a.icmp}
}

// close is called when no question is under way.
func (a *askers) close() { a.icmp.Close() }
