package daemon

import (
	"replypath/health"
	"replypath/health/probe/connect"
	"replypath/health/probe/firsthop"
	"replypath/health/probe/icmp"
	"replypath/health/probe/resolve"
)

// probers put the questions of probes, each kind in its own way.
type probers struct {
	icmp    *icmp.Prober
	connect *connect.Prober
	gateway *firsthop.Prober
}

func newProbers() *probers {
	names := resolve.New()
	return &probers{icmp: icmp.New(names), connect: connect.New(names), gateway: firsthop.New()}
}

func (a *probers) byKind() map[health.ProbeKind]health.Prober {
	return map[health.ProbeKind]health.Prober{health.ICMP: a.icmp, health.TCP: a.connect, health.HTTP: a.connect, health.Gateway: a.gateway}
}

// close is called when no question is under way.
func (a *probers) close() {
	a.icmp.Close()
	a.gateway.Close()
}
