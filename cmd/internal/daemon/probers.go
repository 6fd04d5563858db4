package daemon

import (
	"replypath/health"
	"replypath/health/probe/connect"
	"replypath/health/probe/firsthop"
	"replypath/health/probe/icmp"
	"replypath/health/probe/resolve"
	"replypath/uplinks/rtnl"
)

// probers send the probes of the monitor.
type probers struct {
	icmp       *icmp.Prober
	connect    *connect.Prober
	gateway    *firsthop.Prober
	routers    *firsthop.Prober // for routerPoller, which does not compare their addresses with the kernel's table
	neighbours *rtnl.NeighbourTable
}

// newProbers returns the probers of the network namespace of the calling thread.
func newProbers() (*probers, error) {
	neighbours, err := rtnl.OpenNeighbourTable()
	if err != nil {
		return nil, err
	}
	names := resolve.New()
	all := &probers{icmp: icmp.New(names), connect: connect.New(names), gateway: firsthop.New(neighbours), routers: firsthop.New(nil), neighbours: neighbours}
	all.gateway.Timers = newKernelTimer
	return all, nil
}

func (p *probers) byKind() map[health.ProbeKind]health.Prober {
	return map[health.ProbeKind]health.Prober{health.ICMP: p.icmp, health.TCP: p.connect, health.HTTP: p.connect, health.Gateway: p.gateway}
}

// close closes the sockets. No probe may run.
func (p *probers) close() {
	p.icmp.Close()
	p.gateway.Close()
	p.routers.Close()
	p.neighbours.Close()
}
