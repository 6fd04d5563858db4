// Package reply tests by packets that every reply leaves by the uplink that its request came in by: for services of the
// gateway, hosts behind DNAT, transit, proxies and every kind of link, and that connections survive changes.
package reply
