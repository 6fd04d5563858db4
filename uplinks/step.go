package uplinks

import (
	"fmt"
	"net/netip"

	"replypath/marks"
)

// Step is one write to the kernel. The types of steps are closed: each has all methods here, and one method of Writer, so
// a new kind of kernel object is one new type, and the compiler names the Writers that lack it.
type Step interface {
	// String returns the shell commands that do the same, one a line.
	fmt.Stringer
	// Kind returns the kind of the object that the step writes.
	Kind() Kind
	// Removes reports whether the step removes what packets may still use. It is executed only after every step that
	// replaces it.
	Removes() bool
	// Scope returns the part of the host that the step changes; the zero Scope is the whole host.
	Scope() Scope
	// WriteTo calls the method of w for the step's object.
	WriteTo(w Writer)
	// legend returns a comment line that a Plan prints before its first step of the kind; empty: none.
	legend() string
}

// Writer writes objects to a kernel. It keeps errors itself, as it may write several objects together.
type Writer interface {
	AddRule(r Rule)
	DelRule(r Rule)
	SetRoute(k RouteKey, r Route)
	DelRoute(k RouteKey, r Route)
	SetTunable(s SetTunable)
	SetNeighbour(k NeighbourKey, mac string)
	DelNeighbour(k NeighbourKey)
	LoadChains(s LoadChains)
	MoveMark(s MoveMark)
	AttachUDP(s AttachUDP)
	DetachUDP()
	AllowUDPAddr(a netip.Addr)
	ForbidUDPAddr(a netip.Addr)
	SetFlows(t marks.FlowTable)
	DelFlows()
	SetRouterCounters(c marks.RouterCounters)
	DelRouterCounters()
	SetBackup(b marks.Backup)
	DelBackup()
	SetEgressFilter(e EgressFilter)
	DelEgressFilter(e EgressFilter)
	SetRouterClassifier(c RouterClassifier)
	DelRouterClassifier(c RouterClassifier)
}
