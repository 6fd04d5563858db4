package daemon

import (
	"replypath/health"
	"replypath/health/probe/connect"
	"replypath/health/probe/firsthop"
	"replypath/health/probe/icmp"
	"replypath/health/probe/resolve"
)

// probers send the probes of the monitor.
type probers struct {
	icmp    *icmp.Prober
	connect *connect.Prober
	gateway *firsthop.Prober
}

func newProbers() *probers {
	names := resolve.New()
	return &probers{icmp: icmp.New(names), connect: connect.New(names), gateway: firsthop.New()}
}

func (p *probers) byKind() map[health.ProbeKind]health.Prober {
	return map[health.ProbeKind]health.Prober{health.ICMP: p.icmp, health.TCP: p.connect, health.HTTP: p.connect, health.Gateway: p.gateway}
}

// close closes the sockets. No probe may run.
func (p *probers) close() {
	p.icmp.Close()
	p.gateway.Close()
}
