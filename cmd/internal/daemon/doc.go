// Package daemon is the service: it reconciles the kernel with the configuration after an event, a poll or a request, and
// monitors the uplinks.
//
// # From a kernel event to a repair
//
//	rtnl.Handle.Watch                 subscribes to rtnetlink
//	host.linkEvents.Watch             adds the origin of each event       (firewallEvents: nftables)
//	kernelWatcher.HandleEvent         updates the monitor and the suspects
//	changeNotifier.NotifyChange       marks proofs as out of date
//	roundQueue.RequestRound           adds the reason and the scope
//	roundRunner.RunFastPath           restores a table of nftables that was deleted, and follows new verdicts and routers, without
//	                                  reading anything
//	Loop.awaitReason                  debounces
//	roundRunner.RunRound              rolls back, carries out one request
//	Reconciler.Reconcile              observes the changed scopes, or the whole host; diffs; repairs
//	roundListener.Repaired, Observed  records the event; updates the monitored paths
//
// # Goroutines
//
// Service.run starts one goroutine for each component with a Run method. The goroutine of the Loop is the only one that
// writes routes, rules, chains, sysctls and link groups: it owns roundRunner, Reconciler, RepairBackoff, configuration and
// rollback.Transaction, which have no locks. Other goroutines reach it by roundQueue and requestQueue alone, and read its
// results from reports, reloadStatus and managerNotifier, which are safe for concurrent use. outboundMover and
// routerFinder change connections themselves.
package daemon
