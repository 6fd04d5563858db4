package daemon

import (
	"replypath/health"
	"replypath/health/connect"
	"replypath/health/firsthop"
	"replypath/health/icmp"
	"replypath/health/resolve"
)

// askers put the questions of probes, each kind in its own way.
type askers struct {
	icmp    *icmp.Asker
	connect *connect.Asker
	gateway *firsthop.Asker
}

func newAskers() *askers {
	names := resolve.New()
	return &askers{icmp: icmp.New(names), connect: connect.New(names), gateway: firsthop.New()}
}

func (a *askers) kinds() map[health.Kind]health.Asker {
	return map[health.Kind]health.Asker{health.ICMP: a.icmp, health.TCP: a.connect, health.HTTP: a.connect, health.Gateway: a.gateway}
}

// close is called when no question is under way.
func (a *askers) close() {
	a.icmp.Close()
	a.gateway.Close()
}
