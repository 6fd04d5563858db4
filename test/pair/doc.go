// Package pair tests two gateways that take over from each other, with keepalived and conntrackd, by the files of etc/pair.
package pair
