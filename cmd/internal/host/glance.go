package host

import "replypath/uplinks/rtnl"

// Glance asks how single links are, quickly and often. Its socket is of the network namespace of whoever opens it.
func Glance() (*rtnl.Glance, error) { return rtnl.NewGlance() }
